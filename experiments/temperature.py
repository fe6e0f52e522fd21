"""Measure the samples of a text VAE at several temperatures, and with other decoding options.

    python experiments/temperature.py RUN [--judge LM_RUN] [--split validation] [--prior KIND]
    python experiments/temperature.py RUN --temperatures 0.85 --option top_p=0.9 --option min_p=0.05,top_k=50

Each --option, which may be several in one, is tried at each of the temperatures, and so is none.
For each row it prints, as means over the seeds:

- forward: the perplexity of the samples under 5-grams of the training text, divided by that of
  the real sentences.
- reverse: the perplexity of the real sentences under 5-grams of the samples, divided by that
  under as many training sentences. Both n-gram models have the vocabulary of the training text.
- distinct-2: the share of bigrams that are different, divided by that of as many real sentences.
- repeated: the share of samples with a sequence of three words that comes again.
- accepted, with a judge: the share of samples that a language model accepts. It accepts what
  costs no more bits per byte than 95 % of the real sentences cost.

The judge should be trained on other sentences than those that it judges.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from fluency import ACCEPTED_REAL, measure_costs

from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import distinct_share
from textvae.runs.run import Run
from textvae.runtime.spacing import take_evenly
from textvae.vae import TextVAE

TEMPERATURES = (0.6, 0.7, 0.8, 0.85, 0.9, 1.0)


class Judge:
    """A language model that accepts or refuses sentences.

    Args:
        folder: the run of the language model.
        real: real sentences, which set the limit of what it accepts.
    """

    def __init__(self, folder: str, real: Sequence[str]) -> None:
        self.language_model = TextVAE.from_pretrained(folder, device="cpu")
        self.limit = float("inf")
        self.limit = np.quantile(self.cost(real), ACCEPTED_REAL)

    def cost(self, sentences: Sequence[str]) -> np.ndarray:
        """Return the bits per byte of each sentence that is not blank."""
        costs = measure_costs(self.language_model, sentences)
        return costs[:, 0] / costs[:, 1]

    def accept(self, sentences: Sequence[str]) -> float:
        """Return the share of sentences that it accepts."""
        return float((self.cost(sentences) <= self.limit).mean())


class Comparison:
    """Compares samples with real sentences.

    Args:
        training: the training sentences.
        real: other real sentences.
        count: the number of samples.
    """

    def __init__(self, training: list[str], real: list[str], count: int) -> None:
        self.real = real
        self.trained = NGramModel(training)
        self.forward_real = self.trained.perplexity(real)
        self.reverse_real = self.reverse(take_evenly(training, count))
        self.distinct_real = distinct_share(take_evenly(training, count), 2)

    def reverse(self, sentences: Sequence[str]) -> float:
        """Return the perplexity of the real sentences under n-grams of others."""
        model = NGramModel(sentences, vocabulary=self.trained.word_ids)
        return model.perplexity(self.real)

    def measure(self, samples: Sequence[str]) -> list[float]:
        """Return forward and reverse perplexity and distinct-2, each divided by that of real text."""
        return [
            self.trained.perplexity(samples) / self.forward_real,
            self.reverse(samples) / self.reverse_real,
            distinct_share(samples, 2) / self.distinct_real,
        ]


def repeats(sentence: str) -> bool:
    """Return whether a sequence of three words comes twice in a sentence."""
    words = sentence.split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(triples)) < len(triples)


def parse_options(text: str) -> dict[str, Any]:
    """Return decoding options by name, from a text such as `top_p=0.9,top_k=50`."""
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        options[name] = int(value) if value.isdigit() else float(value)
    return options


def main() -> None:
    """Print one row for each temperature and option."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--judge", default=None, help="the run of a language model")
    parser.add_argument("--split", default="validation", choices=["validation", "test"])
    parser.add_argument("--prior", default=None, help="the kind of a fitted prior of the run")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--temperatures", type=float, nargs="+", default=TEMPERATURES)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    run = Run(options.run)
    real = list(run.open_split(options.split)["text"])
    comparison = Comparison(list(run.open_split("train")["text"]), real, options.samples)
    judge = Judge(options.judge, real) if options.judge else None
    print(
        f"real text: forward {comparison.forward_real:.1f}, reverse {comparison.reverse_real:.1f}"
    )
    print("| temperature | option | forward | reverse | distinct-2 | repeated | accepted |")
    print("|---|---|---|---|---|---|---|")
    for temperature, option in product(options.temperatures, ["", *options.option]):
        further = parse_options(option)
        rows = []
        for seed in options.seeds:
            samples = vae.generate(
                options.samples, prior=options.prior, seed=seed, temperature=temperature, **further
            )
            row = comparison.measure(samples)
            repeated = float(np.mean([repeats(sample) for sample in samples]))
            rows.append([*row, repeated, judge.accept(samples) if judge else float("nan")])
        means = np.mean(rows, axis=0)
        cells = " | ".join(f"{value:.2f}" for value in means[:3])
        print(
            f"| {temperature} | {option} | {cells} | {means[3]:.3f} | {means[4]:.3f} |", flush=True
        )


if __name__ == "__main__":
    main()
