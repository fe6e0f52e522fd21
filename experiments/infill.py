"""Measure how well blanks are filled, compared with a language model and a published method.

    python experiments/infill.py RUN LM_RUN FILE [--sentences 100] [--after 0]

RUN is a text VAE, and LM_RUN a language model. The published method is the conditional
modes of Bowman et al. 2016: beam search and posterior mean in turn. FILE has held-out
sentences, one per line. Each sentence is filled twice: first its end is hidden (the
last fifth of its words, as in that paper), then a random fifth of its words.

The columns of the table:

- words: the share of hidden words that were found at their places.
- exact: the share of blanks whose words were all found.
- adversarial: the adversarial error, which is how much better than chance a
  classifier on bags of words tells true sentences from filled ones, in five-fold
  cross-validation (lower is better).

Below the table is the mean log p(end | beginning) of the true ends. With --records,
an interrupted measurement continues where it stopped.
"""

import argparse
import json
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Unpack

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from textvae.uses.infill.search import log_likelihoods
from textvae.uses.latent_proposals import log_evidence
from textvae.uses.options import InfillOptions
from textvae.uses.records import Infill
from textvae.vae import TextVAE

HIDDEN_SHARE = 0.2  # of a sentence's words
BLANK = "___"
SAMPLES = 512  # importance samples for a log-likelihood
HEAD = "| | end: words | exact | adversarial | anywhere: words | exact | adversarial |"


def count_hidden(words: Sequence[str]) -> int:
    """Return how many words of a sentence to hide: at least one."""
    return max(1, round(HIDDEN_SHARE * len(words)))


def hide_end(words: Sequence[str], random: Random | None) -> list[int]:
    """Return the indices of the last words; nothing is random here."""
    return list(range(len(words) - count_hidden(words), len(words)))


def hide_anywhere(words: Sequence[str], random: Random) -> list[int]:
    """Return the indices of randomly chosen words."""
    return sorted(random.sample(range(len(words)), count_hidden(words)))


def insert_blanks(words: Sequence[str], hidden: Container[int]) -> tuple[str, list[list[str]]]:
    """Replace each sequence of adjacent hidden words by one blank.

    Returns:
        The sentence with blanks, and the words that each blank hides.
    """
    visible = []
    truths: list[list[str]] = []
    for index, word in enumerate(words):
        if index not in hidden:
            visible.append(word)
        elif index - 1 in hidden:
            truths[-1].append(word)
        else:
            visible.append(BLANK)
            truths.append([word])
    return " ".join(visible), truths


def compare_fills(fills: Sequence[str], truths: Sequence[list[str]]) -> tuple[float, float]:
    """Return the shares of hidden words found at their places, and of blanks filled exactly."""
    are_found = []
    are_exact = []
    for fill, truth in zip(fills, truths, strict=True):
        words = fill.split()
        are_found += [
            index < len(words) and words[index] == word for index, word in enumerate(truth)
        ]
        are_exact.append(words == truth)
    return float(np.mean(are_found)), float(np.mean(are_exact))


def compute_adversarial_error(true: list[str], filled: list[str]) -> float:
    """Return the held-out accuracy of a classifier on bags of words, minus one half.

    A true sentence and its filled version are always in the same fold, so the
    classifier never sees one of a pair in training and the other in the test.
    """
    texts = true + filled
    labels = np.repeat([0, 1], [len(true), len(filled)])
    groups = np.tile(np.arange(len(true)), 2)
    model = make_pipeline(
        CountVectorizer(token_pattern=r"\S+", binary=True), LogisticRegression(max_iter=1000)
    )
    scores = cross_val_score(model, texts, labels, groups=groups, cv=GroupKFold(5))
    return float(scores.mean()) - 0.5


def score_endings(vae: TextVAE, sentences: Sequence[str]) -> float:
    """Return the mean of log p(end | beginning) over the sentences, in nats."""
    scores = []
    for text in sentences:
        words = text.split()
        beginning = " ".join(words[: hide_end(words, None)[0]])
        # log p(end | beginning) = log p(whole sentence) - log p(beginning)
        whole = log_likelihoods(vae.bundle, [text], SAMPLES, 0)[0]
        scores.append(whole - log_evidence(vae.bundle, beginning, SAMPLES, 0))
    return float(np.mean(scores))


class Records:
    """Results by key, stored in a file with one JSON array per line, or only in memory."""

    def __init__(self, file: str | None) -> None:
        self.file = Path(file) if file else None
        self.results: dict[tuple[str, ...], list[Infill]] = {}
        if self.file and self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                key, result = json.loads(line)
                self.results[tuple(key)] = result

    def get(self, key: tuple[str, ...], compute: Callable[[], list[Infill]]) -> list[Infill]:
        """Return the result of a key; compute and store it if it is new."""
        if key not in self.results:
            self.results[key] = compute()
            if self.file:
                with self.file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([key, self.results[key]]) + "\n")
        return self.results[key]


def fill_sentences(
    name: str,
    vae: TextVAE,
    sentences: Sequence[str],
    hide: Callable[[Sequence[str], Random], list[int]],
    records: Records,
    options: InfillOptions,
) -> tuple[list[str], list[str], list[tuple[float, float]]]:
    """Hide words of each sentence and fill them.

    Returns:
        The sentences that could be filled, the filled versions of these, and for every
        sentence the two shares of `compare_fills`, which are 0 where nothing was found.
    """
    only_best: InfillOptions = {**options, "n": 1}
    random = Random(0)  # so that all methods fill the same blanks
    true = []
    filled = []
    scores = []
    for text in sentences:
        words = text.split()
        visible, truths = insert_blanks(words, hide(words, random))
        best = records.get((name, visible, text), partial(vae.infill, visible, **only_best))
        if best:
            true.append(text)
            filled.append(best[0]["text"])
            scores.append(compare_fills(best[0]["fills"], truths))
        else:
            scores.append((0.0, 0.0))
    return true, filled, scores


def print_row(
    name: str,
    vae: TextVAE,
    sentences: Sequence[str],
    records: Records,
    **options: Unpack[InfillOptions],
) -> None:
    """Print a row of the table, which has the two kinds of blanks side by side.

    Args:
        options: those of `TextVAE.infill`.
    """
    cells = []
    for hide in (hide_end, hide_anywhere):
        true, filled, scores = fill_sentences(name, vae, sentences, hide, records, options)
        found, exact = np.mean(scores, axis=0)
        error = compute_adversarial_error(true, filled)
        cells += [f"{100 * value:.1f} %" for value in (found, exact, error)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "lm_run", "file"):
        parser.add_argument(name)
    parser.add_argument(
        "--sentences", type=int, default=100, help="sentences to fill (default: 100)"
    )
    parser.add_argument(
        "--after",
        type=int,
        default=0,
        help="skip this many sentences, such as those used for development (default: 0)",
    )
    parser.add_argument("--records", metavar="FILE", help="file to store the results in")
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    model = TextVAE.from_pretrained(options.lm_run)
    lines = [line.strip() for line in Path(options.file).read_text(encoding="utf-8").splitlines()]
    # A `_` in a sentence could be mistaken for a blank.
    usable = [line for line in lines if 5 <= len(line.split()) <= 25 and "_" not in line]
    sentences = Random(0).sample(usable, options.after + options.sentences)[options.after :]
    print(f"{len(sentences)} sentences\n")
    print(f"{HEAD}\n|---|---|---|---|---|---|---|")
    records = Records(options.records)
    print_row("VAE, resampling", vae, sentences, records)
    print_row(
        "language model, beam of 15", model, sentences, records, method="beam_search", beams=15
    )
    print_row(
        "VAE, conditional modes (3 x 5)",
        vae,
        sentences,
        records,
        method="conditional_modes",
        beams=5,
    )
    print(f"\ntrue ends: VAE {score_endings(vae, sentences):.2f} nats, ", end="")
    print(f"language model {score_endings(model, sentences):.2f} nats")


if __name__ == "__main__":
    main()
