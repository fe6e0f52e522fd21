"""Features for a linear classifier, with few labels and with many, against TF-IDF and an autoencoder.

    python benchmarks/features.py CORPUS RUN AUTOENCODER

CORPUS is a folder of SPLIT.txt and SPLIT.labels. The two runs are trained on
the sentences of its train.txt, without labels, for the same number of steps.
Centre, scale and TF-IDF's weights come from all of train.txt too; the classifier, a
logistic regression, sees the labels drawn. Its penalty is chosen on validation,
for each kind of features and number of labels. Accuracies are those on test, in
percent: the mean over draws, and the standard deviation between them; behind
them that on validation, by which the default features were chosen.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from labelled import Split, draw, read_corpus
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from textvae.vae import TextVAE

PENALTIES = (0.01, 0.1, 1.0, 10.0)  # C of scikit-learn
EVERY = 10**9  # labels a class: all there are
Parts = tuple[Any, Any, Any]  # features of training, validation and test


def bags(splits: tuple[Split, ...]) -> Parts:
    """Return TF-IDF vectors of words and pairs of words."""
    weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit(splits[0].texts)
    return tuple(weights.transform(split.texts) for split in splits)  # type: ignore[return-value]


def latents(run: str, kind: str, splits: tuple[Split, ...]) -> Parts:
    """Return a run's features, of mean 0, and of variance 1 on the whole: how they differ in it is kept."""
    vae = TextVAE.from_pretrained(run, device="cpu")
    found = [vae.features(split.texts, kind) for split in splits]
    centre = found[0].mean(0)
    scale = (found[0] - centre).std()
    return tuple((part - centre) / scale for part in found)  # type: ignore[return-value]


def accuracies(parts: Parts, splits: tuple[Split, ...], count: int, draws: int) -> np.ndarray:
    """Return accuracies on validation and on test, (penalties, draws, 2)."""
    found = np.empty((len(PENALTIES), draws, 2))
    for seed in range(draws):
        chosen = draw(splits[0].labels, count, seed)
        for row, penalty in enumerate(PENALTIES):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no warning where it has not quite converged
                model = LogisticRegression(C=penalty, max_iter=100).fit(parts[0][chosen], splits[0].labels[chosen])
            found[row, seed] = [model.score(parts[side], splits[side].labels) for side in (1, 2)]
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("vae")
    parser.add_argument("autoencoder")
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 100, 1000, EVERY], help="a class")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=["mean", "gaussian", "states"])
    options = parser.parse_args()
    splits = read_corpus(options.corpus)
    print(f"| {options.corpus.name} | " + " | ".join("all" if n == EVERY else str(n) for n in options.labels) + " |")
    print("|---" * (len(options.labels) + 1) + "|")
    kinds = {"TF-IDF": bags(splits)}
    for name, run in (("VAE", options.vae), ("autoencoder", options.autoencoder)):
        for kind in options.kinds:
            if (name, kind) != ("autoencoder", "gaussian"):
                kinds[f"{name}, {kind}"] = latents(run, kind, splits)
    for kind, parts in kinds.items():
        cells = []
        for count in options.labels:
            draws = 1 if count == EVERY else options.draws
            found = 100 * accuracies(parts, splits, count, draws)
            validation, test = found[found[:, :, 0].mean(1).argmax()].T
            spread = f" ± {test.std(ddof=1):.1f}" if draws > 1 else ""
            cells.append(f"{test.mean():.1f}{spread} ({validation.mean():.1f})")
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
