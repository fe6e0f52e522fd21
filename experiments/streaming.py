"""Training on a stream: start, speed and private memory at 1, 10 and 100 times half a million sentences.

    python experiments/streaming.py SCRATCH

The corpus is made of the bundled one: halves of its captions, put together anew
by chance, in gzipped files under SCRATCH, where it is left. Each size is a run
of its own, by the public API, in a process of its own; the memory is that of
the process and its workers, mapped pages not counted.
"""

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

SHARD = 50_000  # sentences a file
PATTERNS = {1: "part-000?.txt.gz", 10: "part-00??.txt.gz", 100: "part-????.txt.gz"}
STEPS, WORKERS = 500, 1


def write_corpus(folder: Path, shards: int = 1000) -> None:
    """Write the files that are not there yet; print how long it took."""
    from textvae.data import BUNDLED_CORPORA
    from textvae.data.sources import source_from_files

    words = [
        row["text"].split()
        for row in source_from_files([Path(BUNDLED_CORPORA["captions"]) / "train.txt.gz"], "text")()
    ]
    starts = [" ".join(line[: len(line) // 2]) for line in words]
    ends = [" ".join(line[len(line) // 2 :]) for line in words]
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    for number in range(shards):
        random, file = np.random.default_rng(number), folder / f"part-{number:04}.txt.gz"
        if file.exists():
            continue
        pairs = random.integers(len(words), size=(SHARD, 2)).tolist()
        text = "\n".join([f"{starts[one]} {ends[other]}" for one, other in pairs]) + "\n"
        beside = file.with_suffix(".part")
        beside.write_bytes(gzip.compress(text.encode(), compresslevel=1))
        beside.replace(file)
    print(
        f"{shards * SHARD:,} sentences written in {time.perf_counter() - begun:.0f} s\n", flush=True
    )


def private_megabytes() -> float:
    """Return the private memory of this process and its children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    kilobytes = 0
    for process in ("self", *children):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return kilobytes / 1024


def measure(folder: Path, times: int) -> None:
    """Train on a part of the corpus; print a row of the table."""
    import textvae
    from textvae.training.trainer import VAETrainer

    files = sorted(folder.glob(PATTERNS[times]))
    gigabytes = len(files) * len(gzip.decompress(files[0].read_bytes())) / 1e9
    at: list[float] = []
    plain = VAETrainer.training_step

    def timed(*given: Any, **options: Any) -> Any:
        at.append(time.perf_counter())
        return plain(*given, **options)

    VAETrainer.training_step = timed
    peak, is_over = [private_megabytes()], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.5):
            peak.append(private_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run = folder / f"run-{times}"
    begun = time.perf_counter()
    textvae.train(
        str(folder / PATTERNS[times]),
        output=run,
        overwrite=True,
        device="cpu",
        training={"steps": STEPS, "evaluations": 1, "workers": WORKERS, "trackers": []},
    )
    is_over.set()
    watcher.join()
    history = json.loads((run / "training.json").read_text())["history"]
    speed = statistics.median(
        entry["tokens_per_second"] for entry in history if "tokens_per_second" in entry
    )
    print(
        f"| {len(files) * SHARD:,} | {len(files):,} | {gigabytes:.2f} | {at[0] - begun:.1f} | {at[-1] - at[0]:.1f} | "
        f"{speed:,.0f} | {max(peak):.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    scratch = Path(sys.argv[1])
    if len(sys.argv) == 3:
        measure(scratch, int(sys.argv[2]))
    else:
        write_corpus(scratch)
        print(
            f"| sentences | files | GB of text | s to the first step | s for {STEPS} steps | tokens/s | peak MB |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        for size in PATTERNS:
            subprocess.run(
                [sys.executable, __file__, str(scratch), str(size)],
                check=True,
                stderr=subprocess.DEVNULL,
            )
