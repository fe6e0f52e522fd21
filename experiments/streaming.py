"""Measure training on a stream of 1, 10 and 100 times half a million sentences.

    python experiments/streaming.py SCRATCH

The script prints the seconds to the first step, the speed, and the private memory.
The corpus consists of gzipped files in the folder SCRATCH, where they remain. Each
sentence is the beginning of one bundled caption and the end of another, chosen at
random. Each size is trained with `textvae.train`, in a process of its own. The memory
is that of the process and its workers, without memory-mapped pages.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

SENTENCES_PER_FILE = 50_000
# The files of each size: 10, 100 and 1,000 of them.
PATTERNS = {1: "part-000?.txt.gz", 10: "part-00??.txt.gz", 100: "part-????.txt.gz"}
STEPS = 500
WORKERS = 1


def write_corpus(folder: Path, files: int = 1000) -> None:
    """Write the files that do not exist yet, and print how long it took."""
    from textvae.data import BUNDLED_CORPORA
    from textvae.data.sources import FileSource
    from textvae.data.tables import TableSettings

    source = FileSource([Path(BUNDLED_CORPORA["captions"]) / "train.txt.gz"], TableSettings())
    words = [row["text"].split() for row in source()]
    starts = [" ".join(line[: len(line) // 2]) for line in words]
    ends = [" ".join(line[len(line) // 2 :]) for line in words]
    folder.mkdir(parents=True, exist_ok=True)
    start_time = time.perf_counter()
    for number in range(files):
        file = folder / f"part-{number:04}.txt.gz"
        if file.exists():
            continue
        random = np.random.default_rng(number)
        pairs = random.integers(len(words), size=(SENTENCES_PER_FILE, 2)).tolist()
        text = "\n".join([f"{starts[one]} {ends[other]}" for one, other in pairs]) + "\n"
        # Rename last, so that a file that exists is complete.
        partial = file.with_suffix(".part")
        partial.write_bytes(gzip.compress(text.encode(), compresslevel=1))
        partial.replace(file)
    seconds = time.perf_counter() - start_time
    print(f"{files * SENTENCES_PER_FILE:,} sentences written in {seconds:.0f} s\n", flush=True)


def read_private_megabytes() -> float:
    """Return the private memory of this process and its children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    kilobytes = 0
    for process in ("self", *children):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:  # the child has just ended
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return kilobytes / 1024


def record_step_times() -> list[float]:
    """Replace the trainer's step by one that also records its start; return the list of times."""
    from textvae.training.trainer import VAETrainer

    step_times: list[float] = []
    original = VAETrainer.training_step

    def training_step(*arguments: Any, **options: Any) -> Any:
        step_times.append(time.perf_counter())
        return original(*arguments, **options)

    VAETrainer.training_step = training_step  # type: ignore[method-assign]
    return step_times


def measure(folder: Path, size: int) -> None:
    """Train on a part of the corpus and print a row of the table.

    Args:
        size: a key of `PATTERNS`.
    """
    import textvae

    files = sorted(folder.glob(PATTERNS[size]))
    gigabytes = len(files) * len(gzip.decompress(files[0].read_bytes())) / 1e9
    step_times = record_step_times()
    memory = [read_private_megabytes()]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.5):
            memory.append(read_private_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run = folder / f"run-{size}"
    start_time = time.perf_counter()
    textvae.train(
        str(folder / PATTERNS[size]),
        output=run,
        overwrite=True,
        device="cpu",
        training={"steps": STEPS, "evaluations": 1, "workers": WORKERS, "trackers": []},
    )
    is_over.set()
    watcher.join()
    history = json.loads((run / "training.json").read_text())["history"]
    speeds = [entry["tokens_per_second"] for entry in history if "tokens_per_second" in entry]
    cells = (
        f"{len(files) * SENTENCES_PER_FILE:,}",
        f"{len(files):,}",
        f"{gigabytes:.2f}",
        f"{step_times[0] - start_time:.1f}",
        f"{step_times[-1] - step_times[0]:.1f}",
        f"{statistics.median(speeds):,.0f}",
        f"{max(memory):.0f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Write the corpus and print the table, or one row of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scratch", type=Path, metavar="SCRATCH", help="folder for the corpus")
    # The script starts itself with a size, so that each size has a process of its own.
    parser.add_argument("size", type=int, nargs="?", choices=PATTERNS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size is not None:
        measure(options.scratch, options.size)
        return
    write_corpus(options.scratch)
    print(
        "| sentences | files | GB of text | s to the first step "
        f"| s for {STEPS} steps | tokens/s | peak MB |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for size in PATTERNS:
        subprocess.run(
            [sys.executable, __file__, str(options.scratch), str(size)],
            check=True,
            stderr=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    main()
