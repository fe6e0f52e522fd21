"""Measure a classifier with few labels, with and without additional texts from `augment`.

    python experiments/augment.py CORPUS RUN

CORPUS is a folder with SPLIT.txt and SPLIT.labels. RUN was trained on the sentences
of its train.txt, without labels. The classifier is a logistic regression on TF-IDF
of single words and pairs of words. A written text (one that `augment` returned) has
`--weight` times the weight of an original text.

Accuracies are in percent: the mean over draws of labeled texts ± the standard
deviation over draws. The column `gain` has the same for the difference of the two
accuracies of a draw. Accuracies are measured on the test split, or on the validation
split with --validation; the defaults of `augment` were chosen on validation. The two
splits are measured with different draws.
"""

import argparse
import time
from pathlib import Path
from typing import cast

import numpy as np
from labeled import Split, draw_indices, read_corpus
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from textvae.uses.options import AugmentOptions
from textvae.uses.records import AugmentedText
from textvae.vae import TextVAE

PENALTY = 10.0  # scikit-learn's C, the inverse of the penalty
VALIDATION_SEED = 0  # of the first draw of labeled texts; the next draws count up from it
TEST_SEED = 100  # far enough from the other that no draw is used in both tables


def measure_accuracy(
    examples: Split, written: list[AugmentedText], held_out: Split, weight: float
) -> float:
    """Return the held-out accuracy, in percent, of a classifier.

    Args:
        examples: labeled texts to learn from.
        written: records of written texts to learn from.
        weight: of a written text; that of an original one is 1.
    """
    texts = [*examples.texts, *(record["text"] for record in written)]
    labels = [*examples.labels, *(record["label"] for record in written)]
    weights = [1.0] * len(examples.texts) + [weight] * len(written)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        LogisticRegression(C=PENALTY, max_iter=200),
    )
    model.fit(texts, labels, logisticregression__sample_weight=weights)
    return 100 * float(model.score(held_out.texts, held_out.labels))


def format_values(values: np.ndarray) -> str:
    """Return mean ± standard deviation over draws."""
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("run")
    parser.add_argument("--examples", type=int, nargs="+", default=[5, 10, 50], help="per class")
    parser.add_argument("-n", type=int, default=5, help="texts to write per example")
    parser.add_argument("--draws", type=int, default=10, help="draws of labeled texts")
    parser.add_argument("--weight", type=float, default=1.0, help="weight of a written text")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="an option of `augment`; can be repeated",
    )
    parser.add_argument(
        "--validation", action="store_true", help="measure on the validation split, not on test"
    )
    options = parser.parse_args()
    train, validation, test = read_corpus(options.corpus)
    held_out = validation if options.validation else test
    first_seed = VALIDATION_SEED if options.validation else TEST_SEED
    pairs = [option.split("=") for option in options.option]
    # `augment` checks the names and the values.
    augment_options = cast("AugmentOptions", {name: float(value) for name, value in pairs})
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    print("| examples per class | written per text | without | with | gain | seconds |")
    print("|---|---|---|---|---|---|")
    for count in options.examples:
        accuracies = np.empty((options.draws, 2))  # without and with written texts
        written_per_text = []
        start = time.perf_counter()
        for number in range(options.draws):
            examples = train.select(draw_indices(train.labels, count, first_seed + number))
            written = vae.augment(
                examples.texts,
                examples.labels.tolist(),
                **{"n": options.n, "seed": number, **augment_options},
            )
            written_per_text.append(len(written) / len(examples.texts))
            accuracies[number] = (
                measure_accuracy(examples, [], held_out, 1.0),
                measure_accuracy(examples, written, held_out, options.weight),
            )
        seconds = (time.perf_counter() - start) / options.draws
        without, with_written = accuracies.T
        columns = (without, with_written, with_written - without)
        cells = " | ".join(map(format_values, columns))
        print(
            f"| {count} | {np.mean(written_per_text):.1f} | {cells} | {seconds:.1f} |", flush=True
        )


if __name__ == "__main__":
    main()
