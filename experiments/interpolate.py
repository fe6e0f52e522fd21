"""Score the paths of an interpolation against one another, on pairs of a run's own test sentences.

    python experiments/interpolate.py RUN [--pairs 200] [--steps 11] [--word-vectors FILE]

Fluency is the perplexity of the sentences between the ends under 5-grams learned from the training text; smoothness
the word mover's distance between the ends over that along the path. Beside them: how many different sentences a path
has, their words, how long the path is against the straight line, and the mean log density along it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from textvae.evaluation.measures.interpolation import path_smoothness
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.subject import take_evenly
from textvae.evaluation.measures.word_vectors import load_word_vectors
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import posterior
from textvae.inference.paths import PATHS
from textvae.runs.reference_texts import read_reference_texts
from textvae.runs.run import Run
from textvae.uses.density_path import KernelDensity
from textvae.uses.interpolate import DENSITY_PATH_NAME, build_path
from textvae.vae import TextVAE

SENTENCES = 100_000  # at most, that n-grams are learned from


def main() -> None:
    """Print a row for each path, and the ends' own fluency."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--split", default="test", help="validation, to choose by")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--word-vectors", metavar="FILE")
    options = parser.parse_args()
    vae, run, steps = (
        TextVAE.from_pretrained(options.run, device="cpu"),
        Run(Path(options.run)),
        options.steps,
    )
    texts = list(run.split(options.split)["text"])
    order = np.random.default_rng(0).permutation(len(texts))[: 2 * options.pairs]
    ends = posterior(vae.bundle, [texts[place] for place in order]).mean.view(-1, 2, vae.latent_dim)
    ngrams, vectors = (
        NGramModel(take_evenly(run.split("train")["text"], SENTENCES)),
        load_word_vectors(vae.bundle, options.word_vectors),
    )
    reference = read_reference_texts(run.folder)
    density = KernelDensity.fit(posterior(vae.bundle, reference).mean)
    print(
        f"{len(ends)} pairs, {steps} points, words compared by {vectors.name}, kernels {density.width:.2f} wide\n"
    )
    print(
        "| path | perplexity between | smoothness | different sentences | words | length | log density |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in (*PATHS, DENSITY_PATH_NAME):
        course = build_path(vae.bundle, name, reference)
        points = [course(start, end, steps) for start, end in ends]
        written = decode_latents(vae.bundle, torch.cat(points), DecodingSettings(), samples=False)
        paths = [written[start : start + steps] for start in range(0, len(written), steps)]
        between = [text for path in paths for text in path[1:-1]]
        smooth = [path_smoothness(path, vectors) for path in paths]
        error = np.std(smooth, ddof=1) / len(smooth) ** 0.5
        stretch = [float(p.diff(dim=0).norm(dim=1).sum() / (p[-1] - p[0]).norm()) for p in points]
        print(
            f"| {name} | {ngrams.perplexity(between):.1f} | {np.mean(smooth):.3f} ± {error:.3f} "
            f"| {np.mean([len(set(path)) for path in paths]):.1f} "
            f"| {np.mean([len(text.split()) for text in between]):.1f} | {np.mean(stretch):.2f} "
            f"| {float(density.log_prob(torch.cat([p[1:-1] for p in points])).mean()):.1f} |",
            flush=True,
        )
    own = [text for path in paths for text in (path[0], path[-1])]
    print(
        f"\nthe ends: perplexity {ngrams.perplexity(own):.1f}, {np.mean([len(t.split()) for t in own]):.1f} words, "
    )
    print(f"log density {float(density.log_prob(ends.flatten(0, 1)).mean()):.1f}")


if __name__ == "__main__":
    main()
