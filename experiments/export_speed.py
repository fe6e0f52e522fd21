"""Measure exports of a run: sizes, equal texts, and the speed of the runners in Python and JavaScript.

    python experiments/export_speed.py RUN [--sentences 500] [--repeats 5]

The texts are greedy reconstructions of the first test sentences, so nothing is random. All times are
wall-clock times with one thread. `encode` is for single sentences, as a median; `first sentence` is the lowest
time of `textvae_runner.py generate -n 1` in a new process. The step in JavaScript is measured with
Node, if it is installed: it is the mean time of greedy reconstructions, their encoding included,
divided by the steps of the decoder.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from textvae import TextVAE
from textvae.export.runner import Runner
from textvae.runs.run import Run

TIMED = 50  # sentences that are encoded or decoded one by one
NODE_PROGRAM = """
import {{ TextVAE }} from "{module}";
const vae = await TextVAE.load();
const texts = {texts};
for (const text of texts.slice(0, 3)) await vae.reconstruct(text);
const [start, before] = [performance.now(), vae.steps];
for (const text of texts) await vae.reconstruct(text);
console.log((performance.now() - start) / (vae.steps - before));
"""


def time_each(function: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return the median milliseconds of a function of one text; the first calls warm up."""
    for text in texts[:5]:
        function(text)
    times = []
    for text in texts:
        start = time.perf_counter()
        function(text)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def time_start(folder: Path, repeats: int) -> float:
    """Return the lowest seconds of the runner's first sentence, in a new process each time."""
    command = [sys.executable, str(folder / "textvae_runner.py"), "generate", "-n", "1"]
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def time_javascript(folder: Path, texts: Sequence[str]) -> float | None:
    """Return the milliseconds of a step in Node, or None if it is not installed."""
    node = shutil.which("node")
    if node is None:
        return None
    module = (folder / "textvae.js").resolve().as_uri()
    program = NODE_PROGRAM.format(module=module, texts=json.dumps(list(texts)))
    shown = subprocess.run(
        [node, "--input-type=module", "--eval", program], check=True, capture_output=True, text=True
    )
    return float(shown.stdout)


def measure(
    vae: TextVAE, folder: Path, texts: Sequence[str], expected: Sequence[str | None], repeats: int
) -> list[str]:
    """Return the cells of the table for one export."""
    runner = Runner(folder)
    written: list[str | None] = []
    for text in texts:
        written += runner.reconstruct(text)
    equal = sum(ours == theirs for ours, theirs in zip(written, expected, strict=True))
    size = sum((folder / f"{part}.onnx").stat().st_size for part in ("encoder", "decoder"))
    step = time_javascript(folder, texts[:TIMED])
    return [
        f"{size / 1e6:.1f} MB",
        f"{equal} of {len(texts)}",
        f"{time_each(runner.encode, texts[:TIMED]):.2f} ms",
        f"{time_each(vae.encode, texts[:TIMED]):.2f} ms",
        f"{time_start(folder, repeats):.2f} s",
        "—" if step is None else f"{step:.1f} ms",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5, help="cold starts")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the runner's processes
    torch.set_num_threads(1)
    vae = TextVAE.from_pretrained(options.run, "cpu")
    texts = list(Run(options.run).open_split("test").take(options.sentences)["text"])
    expected = vae.reconstruct(texts)
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        for title, int8 in (("float32", False), ("8 bits", True)):
            folder = Path(name) / title
            vae.export(folder, int8=int8)
            rows[title] = measure(vae, folder, texts, expected, options.repeats)
    print("| | size | equal texts | encode | torch's encode | first sentence | step in Node |")
    print("|---|---|---|---|---|---|---|")
    for title, cells in rows.items():
        print(f"| {title} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
