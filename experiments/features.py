"""Compare features for a linear classifier: those of trained models, and TF-IDF.

    python experiments/features.py CORPUS VAE=RUN autoencoder=AUTOENCODER [--encoder NAME]

CORPUS is a folder with SPLIT.txt and SPLIT.labels. The runs, each with the name that its
rows get, were trained on the sentences of its train.txt, without labels, for the same
number of steps. With --encoder, the embeddings of a sentence encoder, a model of
sentence-transformers, are compared too. Mean and
scale of the features, and the weights of TF-IDF, are computed from all of train.txt,
too. The classifier, a logistic regression, is trained on a random draw of labeled
texts, with the same number for each class. Its penalty is chosen on the validation
split, for each kind of features and each number of labels.

The table has accuracies on the test split in percent: the mean over draws ± the
standard deviation over draws. In parentheses is the accuracy on the validation
split, by which the default features were chosen.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from labeled import Split, draw_indices, read_corpus
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from textvae.model.posteriors import DiagonalGaussian
from textvae.vae import TextVAE

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)  # scikit-learn's C, the inverse of the penalty
ALL_LABELS = 10**9  # labels per class; more than there are
Splits = tuple[Split, Split, Split]  # training, validation and test
Parts = tuple[Any, Any, Any]  # the features of these splits, each (n, width)


def compute_tfidf(splits: Splits) -> Parts:
    """Return TF-IDF vectors of single words and pairs of words."""
    weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit(splits[0].texts)
    return tuple(weights.transform(split.texts) for split in splits)


def compute_features(run: str, kinds: list[str], splits: Splits) -> dict[str, Parts]:
    """Return the features of a run, standardized, by kind.

    Args:
        kinds: from states, mean and gaussian; the last one is left out if the posterior is
            not Gaussian.
    """
    vae = TextVAE.from_pretrained(run, device="cpu")
    states = [torch.from_numpy(vae.features(split.texts, "states")) for split in splits]
    # The posterior is computed from the states, so no text is encoded twice.
    with torch.inference_mode():
        posteriors = [vae.model.posterior.head(part) for part in states]
    features = {"states": states, "mean": [q.mean for q in posteriors]}
    if isinstance(posteriors[0], DiagonalGaussian):
        features["gaussian"] = [torch.cat([q.mean, q.logvar], 1) for q in posteriors]
    return {
        kind: standardize([part.numpy() for part in features[kind]])
        for kind in kinds
        if kind in features
    }


def compute_embeddings(name: str, splits: Splits) -> Parts:
    """Return the embeddings of a sentence encoder, standardized."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(name, device="cpu")
    return standardize([np.asarray(model.encode(split.texts)) for split in splits])


def standardize(parts: list[NDArray[np.float32]]) -> Parts:
    """Subtract the mean of the training features and divide by their standard deviation.

    There is one standard deviation for all dimensions, which keep their relative scales.
    """
    mean = parts[0].mean(0)
    scale = (parts[0] - mean).std()
    return tuple((part - mean) / scale for part in parts)


def concatenate(tfidf: Parts, dense: Parts) -> Parts:
    """Return TF-IDF and dense features side by side, both with rows of norm 1."""
    return tuple(
        hstack([sparse_part, normalize(dense_part)], format="csr")
        for sparse_part, dense_part in zip(tfidf, dense, strict=True)
    )


def measure_accuracies(parts: Parts, splits: Splits, count: int, draws: int) -> np.ndarray:
    """Return accuracies on validation and on test, (penalties, draws, 2).

    Args:
        parts: the features of the splits.
        count: labeled texts per class.
        draws: how many times they are drawn.
    """
    train, validation, test = splits
    accuracies = np.empty((len(PENALTIES), draws, 2))
    for seed in range(draws):
        indices = draw_indices(train.labels, count, seed)
        for row, penalty in enumerate(PENALTIES):
            with warnings.catch_warnings():
                # scikit-learn warns if 100 iterations do not converge; more change little.
                warnings.simplefilter("ignore")
                model = LogisticRegression(C=penalty, max_iter=100)
                model.fit(parts[0][indices], train.labels[indices])
            accuracies[row, seed] = (
                model.score(parts[1], validation.labels),
                model.score(parts[2], test.labels),
            )
    return accuracies


def format_cell(accuracies: np.ndarray) -> str:
    """Return the test accuracy, in percent, with the penalty that is best on validation.

    Args:
        accuracies: on validation and on test, (penalties, draws, 2).
    """
    percent = 100 * accuracies
    best = percent[:, :, 0].mean(1).argmax()
    validation, test = percent[best].T
    spread = f" ± {test.std(ddof=1):.1f}" if len(test) > 1 else ""
    return f"{test.mean():.1f}{spread} ({validation.mean():.1f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--encoder", metavar="NAME", help="a sentence encoder to compare with")
    parser.add_argument(
        "--labels", type=int, nargs="+", default=[10, 100, 1000, ALL_LABELS], help="per class"
    )
    parser.add_argument("--draws", type=int, default=10, help="draws of labeled texts")
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=["mean", "gaussian", "states"],
        help="features of the runs (default: all)",
    )
    options = parser.parse_args()
    splits = read_corpus(options.corpus)
    titles = ["all" if count == ALL_LABELS else str(count) for count in options.labels]
    print(f"| {options.corpus.name} | {' | '.join(titles)} |")
    print("|---" * (len(options.labels) + 1) + "|")
    kinds = {"TF-IDF": compute_tfidf(splits)}
    for pair in options.runs:
        name, run = pair.split("=", 1)
        for kind, parts in compute_features(run, options.kinds, splits).items():
            kinds[f"{name}, {kind}"] = parts
    for kind in [kind for kind in kinds if kind.endswith(", states")]:
        kinds[f"TF-IDF and {kind}"] = concatenate(kinds["TF-IDF"], kinds[kind])
    if options.encoder:
        kinds["sentence encoder"] = compute_embeddings(options.encoder, splits)
    for kind, parts in kinds.items():
        cells = []
        for count in options.labels:
            draws = 1 if count == ALL_LABELS else options.draws
            cells.append(format_cell(measure_accuracies(parts, splits, count, draws)))
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
