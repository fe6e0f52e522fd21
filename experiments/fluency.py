"""Let a language model judge how fluent the samples of a text VAE are.

    python experiments/fluency.py RUN --judge LM_RUN [--file FILE] [--sentences 500]

RUN is a text VAE. LM_RUN is a language model that was trained on real text, and not on that of
FILE, which has one real sentence per line; by default it is the test split of RUN. The samples
are those of `textvae generate RUN`, with its default settings. It prints

- bits per byte: of all samples together under the language model, and of the real sentences.
- accepted: the share of samples, and of real sentences, that the language model accepts. It
  accepts what costs no more bits per byte than 95 % of the real sentences cost.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textvae.runs.run import Run
from textvae.vae import TextVAE

ACCEPTED_REAL = 0.95  # share of the real sentences that the language model accepts


def measure_costs(language_model: TextVAE, sentences: Sequence[str]) -> NDArray[np.float64]:
    """Return the bits and the bytes of each sentence that is not blank, (n, 2)."""
    written = [text for text in sentences if text.strip()]
    scores = language_model.score(written, samples=2)
    bits = [(score["iw_nll"] or 0.0) / math.log(2) for score in scores]
    return np.array([bits, [len(text.encode()) for text in written]]).T


def sum_costs(costs: NDArray[np.float64]) -> float:
    """Return the bits per byte of all sentences together."""
    bits, size = costs.sum(0)
    return float(bits / size)


def main() -> None:
    """Print the two measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--judge", required=True, help="the run of a language model")
    parser.add_argument("--file", type=Path, default=None)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    language_model = TextVAE.from_pretrained(options.judge, device="cpu")
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    if options.file is None:
        text = list(Run(options.run).open_split("test")["text"])
    else:
        text = options.file.read_text(encoding="utf-8").splitlines()
    real = measure_costs(language_model, text[: options.sentences])
    samples = measure_costs(language_model, vae.generate(options.sentences, seed=options.seed))
    most = np.quantile(real[:, 0] / real[:, 1], ACCEPTED_REAL)
    for name, costs in (("samples", samples), ("real sentences", real)):
        accepted = (costs[:, 0] / costs[:, 1] <= most).mean()
        print(f"{name}: {sum_costs(costs):.2f} bits per byte, {accepted:.1%} accepted")


if __name__ == "__main__":
    main()
