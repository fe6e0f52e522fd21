"""A classifier with few labels, with and without texts that `augment` wrote.

    python experiments/augment.py CORPUS RUN

CORPUS is a folder of SPLIT.txt and SPLIT.labels; the run is trained on the
sentences of its train.txt, without labels. The classifier is a logistic
regression on TF-IDF of words and pairs of words; written texts weigh `--weight`
of a given one. Accuracies on test (with --validation, on validation, as the
defaults were chosen; its draws are others), in percent: the mean over draws of
labelled texts, and the standard deviation between them; `gain` is that of the
differences.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from labelled import Split, draw, read_corpus
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from textvae.vae import TextVAE

PENALTY = 10.0  # C of scikit-learn
TEST_SEEDS = (
    100  # labelled texts of the test table begin with this seed, those of validation with 0
)


def accuracy(given: Split, written: list[dict[str, Any]], asked: Split, weight: float) -> float:
    """Return the accuracy on `asked` of a classifier that learned from given and written texts, in percent."""
    texts = [*given.texts, *(record["text"] for record in written)]
    labels = [*given.labels, *(record["label"] for record in written)]
    weights = [1.0] * len(given.texts) + [weight] * len(written)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        LogisticRegression(C=PENALTY, max_iter=200),
    )
    model.fit(texts, labels, logisticregression__sample_weight=weights)
    return 100 * float(model.score(asked.texts, asked.labels))


def shown(values: np.ndarray) -> str:
    """Show a mean and a standard deviation."""
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("run")
    parser.add_argument("--examples", type=int, nargs="+", default=[5, 10, 50], help="a class")
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=NUMBER", help="of `augment`"
    )
    parser.add_argument("--validation", action="store_true")
    options = parser.parse_args()
    train, validation, test = read_corpus(options.corpus)
    asked, first = (validation, 0) if options.validation else (test, TEST_SEEDS)
    chosen = {name: float(value) for name, value in (pair.split("=") for pair in options.option)}
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    print(
        "| examples a class | written a text | without | with | gain | seconds |\n|---|---|---|---|---|---|"
    )
    for count in options.examples:
        found, kept, begun = np.empty((options.draws, 2)), [], time.perf_counter()
        for place in range(options.draws):
            given = train.at(draw(train.labels, count, first + place))
            written = vae.augment(
                given.texts, given.labels.tolist(), options.n, seed=place, **chosen
            )
            kept.append(len(written) / len(given.texts))
            found[place] = (
                accuracy(given, [], asked, 1.0),
                accuracy(given, written, asked, options.weight),
            )
        seconds = (time.perf_counter() - begun) / options.draws
        without, with_ = found.T
        cells = (shown(without), shown(with_), shown(with_ - without))
        print(
            f"| {count} | {np.mean(kept):.1f} | {' | '.join(cells)} | {seconds:.1f} |", flush=True
        )


if __name__ == "__main__":
    main()
