"""Measure how time and memory grow with the work, and draw docs/pictures/cost.svg.

    python experiments/cost.py [--works train ...] [--dimensions length ...] [--csv FILE] [--svg FILE] [--quick]

Each work is done at several sizes of one dimension, while the others stay at their base: 1,000
sentences of 16 tokens, a vocabulary of 5,000, a latent of 32. The model is a VAE of LSTMs of
size B (`textvae bench`), or of transformers of size T4 for the lengths of `train-transformer`; it is
untrained, and sentences are random words. Each point runs in a process of its own; its time is
processor time, the shortest of some repetitions, and its memory is the peak above what was in
use before the work; that of `compare` is the peak of the largest of its processes. The exponent
is the slope of log(time) over log(size): 1 means that twice the work takes twice the time.

The works: train (one step on 2,048 tokens, per token), encode, score (10 samples), index (with a
search for 100 sentences), infill (one sentence with one blank), and compare, in which
sentences are texts of a corpus that two configs train on for five steps each.
"""

import argparse
import csv
import io
import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textvae import TextVAE
from textvae.bench.case import MODEL_SIZES
from textvae.bench.memory import PeakMemory
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.model.building import build_model
from textvae.settings.run import ModelSettings
from textvae.settings.training import TrainingSettings
from textvae.training.optimizer import build_optimizer

STEP_TOKENS = 2048
QUERIES = 100
REPEATS = 3
CPU = torch.device("cpu")
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "cost.svg"
SPECIAL_TOKENS = 4


@dataclass(frozen=True)
class Sizes:
    """How much work is done."""

    sentences: int = 1000
    length: int = 16
    vocab: int = 5000
    latent: int = 32


DIMENSIONS: dict[str, list[int]] = {
    "sentences": [100, 1000, 10_000],
    "length": [16, 64, 512],
    "vocab": [5000, 50_000, 150_000],
    "latent": [16, 128, 512],
}
QUICK: dict[str, list[int]] = {"sentences": [10, 20], "length": [4, 8]}


@dataclass(frozen=True)
class Point:
    """One measurement.

    Attributes:
        seconds: of processor time; for training, per token.
        megabytes: the peak above what was in use before.
    """

    work: str
    dimension: str
    size: int
    seconds: float
    megabytes: float


def make_texts(sizes: Sizes, seed: int = 0) -> list[str]:
    """Return sentences of random words; their lengths differ by up to a quarter from the mean."""
    random = np.random.default_rng(seed)
    spread = sizes.length // 4
    lengths = random.integers(sizes.length - spread, sizes.length + spread + 1, sizes.sentences)
    return [
        " ".join(f"w{word}" for word in random.integers(0, sizes.vocab, length - 1))
        for length in lengths
    ]


def build_vae(sizes: Sizes, folder: Path, model_size: str) -> TextVAE:
    """Return an untrained model with the vocabulary and the latent of `sizes`."""
    words = [f"w{word}" for word in range(sizes.vocab)]
    texts = [" ".join(words[start : start + 100]) for start in range(0, len(words), 100)]
    settings = TokenizerSettings(
        kind="word", vocab_size=sizes.vocab + SPECIAL_TOKENS, min_frequency=1
    )
    tokenizer = build_tokenizer(settings, texts)
    parts = {**MODEL_SIZES[model_size], "latent_dim": sizes.latent}
    if model_size.startswith("T"):
        for part in ("encoder", "decoder"):
            parts[part] = {**parts[part], "positions": 2 * sizes.length}
    torch.manual_seed(0)
    model = build_model(ModelSettings.model_validate(parts), tokenizer)
    model.generation_config.update(max_new_tokens=2 * sizes.length, do_sample=True, top_k=0)
    return TextVAE(model, tokenizer, folder)


def prepare_training(sizes: Sizes, folder: Path, model_size: str = "B") -> Callable[[], int]:
    """Return a training step; it returns its tokens."""
    vae = build_vae(sizes, folder, model_size)
    rows = max(1, STEP_TOKENS // sizes.length)
    random = np.random.default_rng(0)
    ids = random.integers(SPECIAL_TOKENS, sizes.vocab, (rows, sizes.length - 1)).tolist()
    batch = vae.bundle.make_batch(ids)
    model: Any = vae.model.train()
    optimizer = build_optimizer(model, TrainingSettings())

    def step() -> int:
        """Train on the batch."""
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return rows * sizes.length

    return step


def prepare_encoding(sizes: Sizes, folder: Path) -> Callable[[], int]:
    """Return the encoding of sentences."""
    vae = build_vae(sizes, folder, "B")
    texts = make_texts(sizes)
    return lambda: len(vae.encode(texts)) // len(texts)


def prepare_scoring(sizes: Sizes, folder: Path) -> Callable[[], int]:
    """Return the scoring of sentences with 10 samples each; a tenth of them, since it takes long."""
    vae = build_vae(sizes, folder, "B")
    texts = make_texts(replace(sizes, sentences=max(1, sizes.sentences // 10)))
    return lambda: len(vae.score(texts, samples=10)) // len(texts)


def prepare_index(sizes: Sizes, folder: Path) -> Callable[[], int]:
    """Return the indexing of sentences, and a search for a hundred of them."""
    vae = build_vae(sizes, folder, "B")
    texts = make_texts(sizes)

    def work() -> int:
        """Index and search."""
        vae.index(texts)
        return len(vae.neighbors(texts[:QUERIES])) // len(texts[:QUERIES])

    return work


def prepare_infilling(sizes: Sizes, folder: Path) -> Callable[[], int]:
    """Return the filling of a blank in one sentence."""
    vae = build_vae(sizes, folder, "B")
    words = make_texts(replace(sizes, sentences=1))[0].split()
    words[len(words) // 2] = "___"
    text = " ".join(words)

    def work() -> int:
        """Fill it."""
        vae.infill(text, n=1)
        return 1

    return work


def prepare_comparison(sizes: Sizes, folder: Path) -> Callable[[], int]:
    """Return the comparison of two configs on a corpus of sentences."""
    from textvae.cli.main import main as run_command

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(make_texts(sizes)) + "\n")
    configs = []
    for latent in (8, sizes.latent):
        config = folder / f"z{latent}.yaml"
        config.write_text(
            f"model: {{latent_dim: {latent}}}\n"
            "tokenizer: {kind: word}\n"
            "training: {steps: 5, evaluations: 1}\n"
        )
        configs.append(str(config))

    def work() -> int:
        """Compare them, in a new folder each time."""
        with tempfile.TemporaryDirectory(dir=folder) as output:
            command = ["compare", *configs, "--corpora", str(corpus), "--seeds", "1"]
            with redirect_stdout(io.StringIO()):  # its table is not ours
                code = run_command([*command, "--output", f"{output}/table"])
            if code:
                raise RuntimeError("the comparison failed")
        return 1

    return work


# What each work is prepared by, and the dimensions that are measured.
WORKS: dict[str, tuple[Callable[[Sizes, Path], Callable[[], int]], tuple[str, ...]]] = {
    "train": (prepare_training, ("length", "vocab", "latent")),
    "train-transformer": (partial(prepare_training, model_size="T4"), ("length", "vocab")),
    "encode": (prepare_encoding, ("sentences", "length", "vocab", "latent")),
    "score": (prepare_scoring, ("sentences", "length", "vocab", "latent")),
    "index": (prepare_index, ("sentences", "latent")),
    "infill": (prepare_infilling, ("length", "vocab")),
    "compare": (prepare_comparison, ("sentences",)),
}


def measure(work: str, sizes: Sizes) -> tuple[float, float]:
    """Return the processor seconds, per token for training, and the MB of a work."""
    with tempfile.TemporaryDirectory() as name:
        run = WORKS[work][0](sizes, Path(name))
        with PeakMemory(CPU) as memory:
            run()
        times = []
        for _ in range(REPEATS):
            start = read_processor_time()
            units = run()
            times.append((read_processor_time() - start) / units)
    growth = (memory.peak or 0) - (memory.before or 0)
    # A comparison trains in processes of its own; Linux counts their largest size in kB.
    largest_child = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return min(times), max(growth, largest_child) / 1e6


def read_processor_time() -> float:
    """Return the processor seconds of this process and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure_in_process(work: str, dimension: str, size: int, base: Sizes) -> Point:
    """Measure a point in a process of its own, whose memory no other point has used."""
    sizes = replace(base, **{dimension: size})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, megabytes = pool.apply(measure, (work, sizes))
    return Point(work, dimension, size, seconds, megabytes)


def find_exponent(points: list[Point]) -> float:
    """Return the slope of log(time) over log(size), between the first and the last point."""
    first, last = points[0], points[-1]
    return math.log(last.seconds / first.seconds) / math.log(last.size / first.size)


def format_row(points: list[Point]) -> str:
    """Return the row of the table of one work and dimension."""
    sizes = ", ".join(f"{point.size:,}" for point in points)
    scale, unit = (1e6, "µs") if points[0].work.startswith("train") else (1.0, "s")
    times = ", ".join(f"{scale * point.seconds:,.3g}" for point in points)
    memory = ", ".join(f"{point.megabytes:,.0f}" for point in points)
    head = f"| {points[0].work} | {points[0].dimension} | {sizes} | {times} {unit} | {memory} | "
    return head + f"{find_exponent(points):.2f} |"


def draw(series: list[list[Point]], file: Path) -> None:
    """Draw time over size, relative to the smallest size, one panel per dimension."""
    from matplotlib.figure import Figure

    dimensions = [name for name in DIMENSIONS if any(row[0].dimension == name for row in series)]
    figure = Figure(figsize=(3.2 * len(dimensions), 3.2), layout="constrained")
    for panel, dimension in zip(figure.subplots(1, len(dimensions)), dimensions, strict=True):
        for points in series:
            if points[0].dimension == dimension:
                sizes = [point.size / points[0].size for point in points]
                times = [point.seconds / points[0].seconds for point in points]
                panel.loglog(sizes, times, marker="o", label=points[0].work)
        most = DIMENSIONS[dimension][-1] / DIMENSIONS[dimension][0]
        panel.loglog([1, most], [1, most], color="gray", linestyle=":", label="exponent 1")
        panel.set_xlabel(f"{dimension}, times {DIMENSIONS[dimension][0]:,}")
        panel.set_ylabel("time, relative")
        panel.legend(fontsize=6)
    figure.savefig(file)


def main() -> None:
    """Print the table, and write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--dimensions", nargs="+", choices=DIMENSIONS, default=list(DIMENSIONS))
    parser.add_argument("--csv", type=Path, help="also write every point to this file")
    parser.add_argument("--svg", type=Path, help=f"the picture; {PICTURE.name} if all are measured")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    options = parser.parse_args()
    table = QUICK if options.quick else DIMENSIONS
    base = Sizes(sentences=10, vocab=50, latent=4) if options.quick else Sizes()
    print(
        "| work | dimension | sizes | time | MB | exponent |\n|---|---|---|---|---|---|", flush=True
    )
    series = []
    for work in options.works:
        for dimension in WORKS[work][1]:
            if dimension in table and dimension in options.dimensions:
                sizes = table[dimension]
                points = [measure_in_process(work, dimension, size, base) for size in sizes]
                series.append(points)
                print(format_row(points), flush=True)
    if options.csv:
        with options.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(asdict(series[0][0])))
            writer.writeheader()
            writer.writerows(asdict(point) for points in series for point in points)
    if options.svg or (options.works == list(WORKS) and not options.quick):
        draw(series, options.svg or PICTURE)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
