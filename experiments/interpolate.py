"""Compare the kinds of paths of `interpolate`, between pairs of a run's own test sentences.

    python experiments/interpolate.py RUN [--pairs 200] [--steps 11] [--word-vectors FILE]

The columns of the table:

- perplexity between: of the sentences between the ends, under 5-grams of the
  training text.
- smoothness: the word mover's distance between the ends, divided by the sum of the
  distances along the path (± its standard error).
- different sentences: how many a path has.
- words: of the sentences between the ends.
- length: of the path in latent space, relative to the straight line.
- log density: of the latents between the ends, under a kernel density estimate.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from textvae.evaluation.measures.interpolation import path_smoothness
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.word_vectors import WordVectors, load_word_vectors
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import posterior
from textvae.inference.paths import PATHS
from textvae.inference.settings import DecodingSettings
from textvae.runs.reference_texts import read_reference_texts
from textvae.runs.run import Run
from textvae.runtime.spacing import take_evenly
from textvae.uses.density_path import KernelDensity
from textvae.uses.interpolate import DENSITY_PATH_NAME, build_path
from textvae.vae import TextVAE

MAX_NGRAM_SENTENCES = 100_000
COLUMNS = (
    "path",
    "perplexity between",
    "smoothness",
    "different sentences",
    "words",
    "length",
    "log density",
)


def count_words(texts: Sequence[str]) -> float:
    """Return the mean number of words."""
    return float(np.mean([len(text.split()) for text in texts]))


def measure_density(density: KernelDensity, z: Tensor) -> float:
    """Return the mean log density of latents, (n, latent)."""
    return float(density.log_prob(z).mean())


def measure_relative_length(points: Tensor) -> float:
    """Return the length of a path, (steps, latent), relative to the straight line."""
    return float(points.diff(dim=0).norm(dim=1).sum() / (points[-1] - points[0]).norm())


def print_row(
    name: str,
    paths: Sequence[Sequence[str]],
    points: Sequence[Tensor],
    ngrams: NGramModel,
    vectors: WordVectors,
    density: KernelDensity,
) -> None:
    """Print a row of the table.

    Args:
        name: the kind of path.
        paths: the sentences of each path.
        points: the latents of each path, (steps, latent).
        ngrams: the n-gram model of the training text.
        vectors: the word vectors that the word mover's distance compares.
        density: the kernel density estimate of the latents.
    """
    between = [text for path in paths for text in path[1:-1]]
    smoothness = [path_smoothness(path, vectors) for path in paths]
    error = np.std(smoothness, ddof=1) / len(smoothness) ** 0.5
    inner_points = torch.cat([path[1:-1] for path in points])
    cells = (
        name,
        f"{ngrams.perplexity(between):.1f}",
        f"{np.mean(smoothness):.3f} ± {error:.3f}",
        f"{np.mean([len(set(path)) for path in paths]):.1f}",
        f"{count_words(between):.1f}",
        f"{np.mean([measure_relative_length(path) for path in points]):.2f}",
        f"{measure_density(density, inner_points):.1f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print a row for each path, and the fluency of the ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument(
        "--split", default="test", help="use validation to choose settings (default: test)"
    )
    parser.add_argument("--pairs", type=int, default=200, help="pairs of sentences (default: 200)")
    parser.add_argument(
        "--steps", type=int, default=11, help="sentences on a path, ends included (default: 11)"
    )
    parser.add_argument("--word-vectors", metavar="FILE", help="default: the decoder's embedding")
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    run = Run(Path(options.run))
    steps = options.steps
    texts = list(run.open_split(options.split)["text"])
    order = np.random.default_rng(0).permutation(len(texts))[: 2 * options.pairs]
    means = posterior(vae.bundle, [texts[index] for index in order]).mean
    ends = means.view(-1, 2, vae.latent_dim)
    ngrams = NGramModel(take_evenly(run.open_split("train")["text"], MAX_NGRAM_SENTENCES))
    vectors = load_word_vectors(vae.bundle, options.word_vectors)
    reference = read_reference_texts(run.folder)
    density = KernelDensity.fit(posterior(vae.bundle, reference).mean)
    print(
        f"{len(ends)} pairs, {steps} points per path, words compared by {vectors.name}, "
        f"kernels of width {density.width:.2f}\n"
    )
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for name in (*PATHS, DENSITY_PATH_NAME):
        latent_path = build_path(vae.bundle, name, reference)
        points = [latent_path(start, end, steps) for start, end in ends]
        decoded = decode_latents(
            vae.bundle, torch.cat(points), DecodingSettings(), samples_by_default=False
        )
        paths = [decoded[start : start + steps] for start in range(0, len(decoded), steps)]
        print_row(name, paths, points, ngrams, vectors, density)
    # Every path begins and ends with the reconstructions of the same sentences.
    end_texts = [text for path in paths for text in (path[0], path[-1])]
    print(
        f"\nthe ends: perplexity {ngrams.perplexity(end_texts):.1f}, "
        f"{count_words(end_texts):.1f} words, "
        f"log density {measure_density(density, ends.flatten(0, 1)):.1f}"
    )


if __name__ == "__main__":
    main()
