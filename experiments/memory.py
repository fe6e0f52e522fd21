"""Private memory of reading and tokenising a corpus at 1, 3 and 10 times its size.

    python experiments/memory.py

Each size runs in a process of its own; mapped pages do not count.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from textvae.data import BUNDLED_CORPORA
from textvae.data.corpus import DataSettings, prepare_splits
from textvae.data.sources import source_from_files
from textvae.data.tokenization import TokenizerSettings, build_tokenizer

SIZES = (1, 3, 10)
COPIES = 4  # of the bundled corpus, at size 1


def private_megabytes() -> float:
    """Return this process's private memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def measure(times: int) -> None:
    """Prepare a corpus of that size; print its sentences, the seconds and the peak."""
    lines = [
        row["text"]
        for row in source_from_files([Path(BUNDLED_CORPORA["captions"]) / "train.txt.gz"], "text")()
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.txt"
        with file.open("w") as sink:
            for copy in range(COPIES * times):
                sink.writelines(f"{copy} {line}\n" for line in lines)
        count = len(lines) * COPIES * times
        del lines
        peak, is_over = [private_megabytes()], threading.Event()
        before = peak[0]

        def watch() -> None:
            while not is_over.wait(0.05):
                peak.append(private_megabytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        build = TokenizerSettings()
        prepare_splits(
            DataSettings(corpus=str(file)),
            1,
            Path(folder) / "out",
            lambda sentences: build_tokenizer(build, sentences),
        )
        is_over.set()
        watcher.join()
        seconds = time.perf_counter() - start
    print(
        f"| {times} | {count:,} | {seconds:.0f} | {before:.0f} | {max(peak):.0f} | {max(peak) - before:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        measure(int(sys.argv[1]))
    else:
        print(
            "| size | sentences | seconds | MB before | MB at the peak | MB more |\n|---|---|---|---|---|---|",
            flush=True,
        )
        for times in SIZES:
            subprocess.run([sys.executable, __file__, str(times)], check=True)
