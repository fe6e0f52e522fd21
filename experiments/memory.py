"""Measure how much memory it takes to prepare corpora, and to train and evaluate the preset.

    python experiments/memory.py
    python experiments/memory.py --bases BASES

The first command measures how much private memory it takes to read and tokenize corpora of three sizes.
The smallest corpus has 4 copies of the bundled captions; the others are 3 and 10
times as large. Each is prepared in a process of its own. Memory-mapped pages do not
count as private memory.

The second one measures the peak of the resident memory while the preset `pretrained` is trained for a
few steps on 2,000 captions, and while it is evaluated. BASES is a folder with `minilm` and `smollm2`, as
experiments/real_bases.py writes them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from textvae.data import BUNDLED_CORPORA
from textvae.data.corpus import prepare_splits
from textvae.data.settings import DataSettings
from textvae.data.sources import FileSource
from textvae.data.tables import TableSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer

SIZES = (1, 3, 10)
COPIES = 4  # of the bundled corpus, at size 1
CAPTIONS = 2000  # that the preset is trained on
PRESET_BASES = {"encoder": "minilm", "decoder": "smollm2"}


def read_private_megabytes() -> float:
    """Return the private memory of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def write_corpus(file: Path, size: int, copies: int = COPIES) -> int:
    """Write a corpus of sentences that all differ, and return how many there are."""
    source = FileSource([Path(BUNDLED_CORPORA["captions"]) / "train.txt.gz"], TableSettings())
    lines = [row["text"] for row in source()]
    with file.open("w") as sink:
        for copy in range(copies * size):
            # The number makes the copies differ, because repeated sentences would be left out.
            sink.writelines(f"{copy} {line}\n" for line in lines)
    return len(lines) * copies * size


def measure(size: int) -> None:
    """Prepare a corpus of that size and print a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.txt"
        count = write_corpus(file, size)
        memory = [read_private_megabytes()]
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(0.05):
                memory.append(read_private_megabytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        settings = TokenizerSettings()
        prepare_splits(
            DataSettings(corpus=str(file)),
            1,
            Path(folder) / "out",
            lambda sentences: build_tokenizer(settings, sentences),
        )
        is_over.set()
        watcher.join()
        seconds = time.perf_counter() - start
    before = memory[0]
    peak = max(memory)
    print(
        f"| {size} | {count:,} | {seconds:.0f} | {before:.0f} | {peak:.0f} | {peak - before:.0f} |",
        flush=True,
    )


def measure_preset(bases: Path) -> None:
    """Print the peak of the resident memory of training and of evaluation."""
    print("| command | seconds | GB at the peak |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.txt"
        write_corpus(corpus, 1, copies=1)
        lines = corpus.read_text().splitlines()[:CAPTIONS]
        corpus.write_text("\n".join(lines) + "\n")
        run = f"{folder}/run"
        names = [f"model.{role}.name={bases / base}" for role, base in PRESET_BASES.items()]
        train = ["train", str(corpus), "--preset", "pretrained", *names, "training.steps=30"]
        for command in ([*train, "--output", run], ["evaluate", run]):
            seconds, peak = run_command(command)
            print(f"| {command[0]} | {seconds:.0f} | {peak / 1e9:.2f} |", flush=True)


def run_command(command: list[str]) -> tuple[float, int]:
    """Run a command of textvae; return its seconds, and the peak of its resident memory in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "textvae", *command], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"textvae {command[0]} ended with exit code {process.returncode}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def main() -> None:
    """Print the table, or one row of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # The script starts itself with a size, so that each size has a process of its own.
    parser.add_argument("size", type=int, nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--bases", type=Path, help="measure the preset, with these bases")
    options = parser.parse_args()
    if options.bases is not None:
        measure_preset(options.bases)
        return
    if options.size is not None:
        measure(options.size)
        return
    print("| size | sentences | seconds | MB before | MB at the peak | MB more |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in SIZES:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    main()
