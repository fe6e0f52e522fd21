"""Measure the rows per second of bulk encoding: one process, two ranks, and Ray with two workers.

    python experiments/bulk_speed.py RUN [--sentences 200000] [--repeats 3]

The corpus is the bundled captions, several times. Every process computes with one thread, so that two
processes have twice the processor of one. The ways take turns, and each number is the median of
its repetitions. `start` is the time of the same command for ten sentences: that of Python, of
the libraries and of Ray. The efficiency is the speed without the start, relative to
as many processes at the speed of one.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pyarrow.parquet

from textvae.data import BUNDLED_CORPORA

SCRIPT = str(Path(__file__).parents[1] / "scripts" / "encode.py")
SHARD_ROWS = 4096
# The command that runs the script, the script's further options, and the processes.
WAYS: dict[str, tuple[list[str], list[str], int]] = {
    "one process": ([], [], 1),
    "two ranks": (["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], [], 2),
    "Ray, two workers": ([], ["--engine", "ray"], 2),
}


def write_corpus(file: Path, sentences: int) -> None:
    """Write so many captions, the bundled ones over and over."""
    with gzip.open(f"{BUNDLED_CORPORA['captions']}/train.txt.gz", "rt") as stream:
        lines = stream.read().splitlines()
    chosen = islice(cycle(lines), sentences)
    file.write_text("\n".join(chosen) + "\n")


def run_way(way: str, run: str, corpus: Path, output: Path) -> tuple[float, int]:
    """Encode the corpus in one way; return the seconds of the command, and the rows."""
    launcher, options, _ = WAYS[way]
    command = [sys.executable, *launcher, SCRIPT, run, str(corpus), "--output", str(output)]
    sizes = ["--shard-rows", str(SHARD_ROWS), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    result = subprocess.run(
        [*command, *sizes, *options], env=environment, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if result.returncode:
        sys.exit(f"{way}: exit code {result.returncode}\n{result.stderr}")
    shards = sorted(output.glob("part-*.parquet"))
    return seconds, sum(pyarrow.parquet.read_metadata(shard).num_rows for shard in shards)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="the folder of a trained run")
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    starts: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus.txt"
        few = folder / "few.txt"
        write_corpus(corpus, options.sentences)
        write_corpus(few, 10)
        for repeat in range(options.repeats):
            for way in WAYS:
                # Ten sentences take no time, so this is what it takes to start.
                starts[way].append(
                    run_way(way, options.run, few, folder / f"few-{repeat}-{way}")[0]
                )
                seconds, rows = run_way(way, options.run, corpus, folder / f"all-{repeat}-{way}")
                speeds[way].append(rows / seconds)
                print(f"{way}: {rows:,} rows in {seconds:.1f} s", file=sys.stderr, flush=True)
    print(
        f"| way | start, s | rows/s of the whole command, {rows:,} rows | without the start | efficiency |"
    )
    print("|---|---|---|---|---|")
    alone = 0.0
    for way, (_, _, processes) in WAYS.items():
        start = statistics.median(starts[way])
        whole = statistics.median(speeds[way])
        working = rows / (rows / whole - start)
        alone = alone or working
        share = working / (alone * processes)
        print(f"| {way} | {start:.1f} | {whole:,.0f} | {working:,.0f} | {share:.0%} |")


if __name__ == "__main__":
    main()
