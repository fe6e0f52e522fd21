"""Measure how well blanks are filled, compared with a language model and a published method.

    python experiments/infill.py RUN LM_RUN FILE [--default DEFAULT_RUN] [--sentences 500]

RUN is a text VAE, LM_RUN a language model, and DEFAULT_RUN a VAE of the default recipe.
The published method is the conditional modes of Bowman et al. 2016: beam search and
posterior mean in turn. FILE has held-out sentences, one per line. Each sentence is
filled twice: first its end is hidden (the last fifth of its words, as in that paper),
then a random fifth of its words.

All methods have the same number of beams in all, `--searches` times `--beams`: as many
searches under different latents, three rounds of conditional modes that share them, or
one search of the language model. The default, 9 searches of 6 beams, is that of
`infill`. Only the VAE also uses samples to choose latents and to rank sentences; the
column `seconds` has the time per sentence of everything, on this machine.

The columns of the table:

- words: the share of hidden words that were found at their places.
- exact: the share of blanks whose words were all found.
- adversarial: the adversarial error, which is how much better than chance a
  classifier on bags of words tells true sentences from filled ones, in five-fold
  cross-validation (lower is better).

The second table has the difference of the first row to each other row in percentage
points, with a 95 % interval by a paired bootstrap over sentences. Below it is the mean
log p(end | beginning) of the true ends. With --records, an interrupted measurement
continues where it stopped.
"""

import argparse
import json
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
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
MODE_ROUNDS = 3  # of conditional modes, as `infill` runs them
RESAMPLES = 10_000  # of the bootstrap
HEAD = "| | end: words | exact | adversarial | anywhere: words | exact | adversarial | seconds |"
DIFFERENCE_HEAD = "| VAE, resampling, against | end: words | exact | anywhere: words | exact |"


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
        self.results: dict[tuple[str, ...], tuple[list[Infill], float]] = {}
        if self.file and self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                key, result, seconds = json.loads(line)
                self.results[tuple(key)] = (result, seconds)

    def get(
        self, key: tuple[str, ...], compute: Callable[[], list[Infill]]
    ) -> tuple[list[Infill], float]:
        """Return the result of a key and its seconds; compute and store them if they are new."""
        if key not in self.results:
            start = time.perf_counter()
            result = compute()
            self.results[key] = (result, time.perf_counter() - start)
            if self.file:
                with self.file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([key, *self.results[key]]) + "\n")
        return self.results[key]


@dataclass(frozen=True)
class Filled:
    """The sentences of a test set with their blanks filled.

    Attributes:
        true: the sentences that could be filled.
        filled: their filled versions.
        shares: the two shares of `compare_fills` for every sentence, (n, 2); 0 where nothing
            was found.
        seconds: the mean time per sentence.
    """

    true: list[str]
    filled: list[str]
    shares: NDArray[np.float64]
    seconds: float


def fill_sentences(
    name: str,
    vae: TextVAE,
    sentences: Sequence[str],
    hide: Callable[[Sequence[str], Random], list[int]],
    records: Records,
    options: InfillOptions,
) -> Filled:
    """Hide words of each sentence and fill them."""
    only_best: InfillOptions = {**options, "n": 1}
    random = Random(0)  # so that all methods fill the same blanks
    true = []
    filled = []
    shares = []
    times = []
    for text in sentences:
        words = text.split()
        visible, truths = insert_blanks(words, hide(words, random))
        key = (name, visible, text)
        best, seconds = records.get(key, partial(vae.infill, visible, **only_best))
        times.append(seconds)
        if best:
            true.append(text)
            filled.append(best[0]["text"])
            shares.append(compare_fills(best[0]["fills"], truths))
        else:
            shares.append((0.0, 0.0))
    return Filled(true, filled, np.array(shares), float(np.mean(times)))


def measure_method(
    name: str,
    vae: TextVAE,
    sentences: Sequence[str],
    records: Records,
    **options: Unpack[InfillOptions],
) -> NDArray[np.float64]:
    """Print a row of the table, which has the two kinds of blanks side by side.

    Args:
        options: those of `TextVAE.infill`.

    Returns:
        The shares of every sentence, (n, 4), in the order of the difference table.
    """
    cells = []
    shares = []
    seconds = []
    for hide in (hide_end, hide_anywhere):
        result = fill_sentences(name, vae, sentences, hide, records, options)
        error = compute_adversarial_error(result.true, result.filled)
        cells += [f"{100 * value:.1f}" for value in (*result.shares.mean(0), error)]
        shares.append(result.shares)
        seconds.append(result.seconds)
    print(f"| {name} | {' | '.join(cells)} | {np.mean(seconds):.2f} |", flush=True)
    return np.concatenate(shares, axis=1)


def format_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> str:
    """Return the mean difference in percentage points and its 95 % interval, paired bootstrap."""
    differences = 100 * (first - second)
    random = np.random.default_rng(0)
    indices = random.integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[indices].mean(1), (0.025, 0.975))
    return f"{differences.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "lm_run", "file"):
        parser.add_argument(name)
    parser.add_argument("--default", metavar="DEFAULT_RUN", help="a run of the default recipe")
    parser.add_argument(
        "--sentences", type=int, default=500, help="sentences to fill (default: 500)"
    )
    parser.add_argument(
        "--after",
        type=int,
        default=0,
        help="skip this many sentences, such as those used for development (default: 0)",
    )
    parser.add_argument("--searches", type=int, default=9, help="searches, 2 or more (default: 9)")
    parser.add_argument(
        "--beams", type=int, default=6, help="beams of each search of resampling (default: 6)"
    )
    parser.add_argument("--records", metavar="FILE", help="file to store the results in")
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    options = parse_arguments()
    vae = TextVAE.from_pretrained(options.run)
    model = TextVAE.from_pretrained(options.lm_run)
    lines = [line.strip() for line in Path(options.file).read_text(encoding="utf-8").splitlines()]
    # A `_` in a sentence could be mistaken for a blank.
    usable = [line for line in lines if 5 <= len(line.split()) <= 25 and "_" not in line]
    sentences = Random(0).sample(usable, options.after + options.sentences)[options.after :]
    beams = options.searches * options.beams
    print(f"{len(sentences)} sentences, {beams} beams\n")
    print(f"{HEAD}\n|---|---|---|---|---|---|---|---|")
    measure = partial(measure_method, sentences=sentences, records=Records(options.records))
    # One of the searches is under the posterior mean of the visible words.
    resampling: InfillOptions = {"latents": options.searches - 1, "beams": options.beams}
    first = measure(f"VAE, resampling ({options.searches} x {options.beams})", vae, **resampling)
    others = {}
    name = f"language model ({beams})"
    others[name] = measure(name, model, method="beam_search", beams=beams)
    name = f"VAE, conditional modes ({MODE_ROUNDS} x {beams // MODE_ROUNDS})"
    others[name] = measure(name, vae, method="conditional_modes", beams=beams // MODE_ROUNDS)
    if options.default:
        name = f"VAE, default recipe, resampling ({options.searches} x {options.beams})"
        others[name] = measure(name, TextVAE.from_pretrained(options.default), **resampling)
    print(f"\n{DIFFERENCE_HEAD}\n|---|---|---|---|---|")
    for name, shares in others.items():
        columns = zip(first.T, shares.T, strict=True)
        cells = [format_difference(ours, theirs) for ours, theirs in columns]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\ntrue ends: VAE {score_endings(vae, sentences):.2f} nats, ", end="")
    print(f"language model {score_endings(model, sentences):.2f} nats")


if __name__ == "__main__":
    main()
