"""Measure how much private memory it takes to read and tokenize corpora of three sizes.

    python experiments/memory.py

The smallest corpus has 4 copies of the bundled captions; the others are 3 and 10
times as large. Each is prepared in a process of its own. Memory-mapped pages do not
count as private memory.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from textvae.data import BUNDLED_CORPORA
from textvae.data.corpus import DataSettings, prepare_splits
from textvae.data.sources import FileSource
from textvae.data.tables import TableSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer

SIZES = (1, 3, 10)
COPIES = 4  # of the bundled corpus, at size 1


def read_private_megabytes() -> float:
    """Return the private memory of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def write_corpus(file: Path, size: int) -> int:
    """Write a corpus of sentences that all differ, and return how many there are."""
    source = FileSource([Path(BUNDLED_CORPORA["captions"]) / "train.txt.gz"], TableSettings())
    lines = [row["text"] for row in source()]
    with file.open("w") as sink:
        for copy in range(COPIES * size):
            # The number makes the copies differ, because repeated sentences would be left out.
            sink.writelines(f"{copy} {line}\n" for line in lines)
    return len(lines) * COPIES * size


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


def main() -> None:
    """Print the table, or one row of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # The script starts itself with a size, so that each size has a process of its own.
    parser.add_argument("size", type=int, nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size is not None:
        measure(options.size)
        return
    print("| size | sentences | seconds | MB before | MB at the peak | MB more |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in SIZES:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    main()
