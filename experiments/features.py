"""Features for a linear classifier, with few labels and with many, against TF-IDF and an autoencoder.

    python experiments/features.py CORPUS RUN AUTOENCODER

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
import torch
from labelled import Split, draw, read_corpus
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from textvae.model.posteriors import DiagonalGaussian
from textvae.vae import TextVAE

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)  # C of scikit-learn
EVERY = 10**9  # labels a class: all there are
Parts = tuple[Any, Any, Any]  # features of training, validation and test


def bags(splits: tuple[Split, ...]) -> Parts:
    """Return TF-IDF vectors of words and pairs of words."""
    weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit(splits[0].texts)
    return tuple(weights.transform(split.texts) for split in splits)


def latents(run: str, kinds: list[str], splits: tuple[Split, ...]) -> dict[str, Parts]:
    """Return a run's features by kind, of mean 0, and of variance 1 on the whole: how they differ in it is kept."""
    vae = TextVAE.from_pretrained(run, device="cpu")
    states = [torch.from_numpy(vae.features(split.texts, "states")) for split in splits]
    with torch.inference_mode():
        posteriors = [
            vae.model.posterior.head(part) for part in states
        ]  # `features` again, without reading again
    found = {"states": states, "mean": [q.mean for q in posteriors]}
    if isinstance(posteriors[0], DiagonalGaussian):
        found["gaussian"] = [torch.cat([q.mean, q.logvar], 1) for q in posteriors]
    return {
        kind: centred([part.numpy() for part in found[kind]]) for kind in kinds if kind in found
    }


def centred(parts: list[NDArray[np.float32]]) -> Parts:
    """Return features, (n, width), less their mean and by their standard deviation in training."""
    centre = parts[0].mean(0)
    scale = (parts[0] - centre).std()
    return tuple((part - centre) / scale for part in parts)


def side_by_side(bags: Parts, dense: Parts) -> Parts:
    """Return TF-IDF and dense features together, both with rows of length one."""
    return tuple(
        hstack([bag, normalize(part)], format="csr") for bag, part in zip(bags, dense, strict=True)
    )


def accuracies(parts: Parts, splits: tuple[Split, ...], count: int, draws: int) -> np.ndarray:
    """Return accuracies on validation and on test, (penalties, draws, 2)."""
    found = np.empty((len(PENALTIES), draws, 2))
    for seed in range(draws):
        chosen = draw(splits[0].labels, count, seed)
        for row, penalty in enumerate(PENALTIES):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no warning where it has not quite converged
                model = LogisticRegression(C=penalty, max_iter=100).fit(
                    parts[0][chosen], splits[0].labels[chosen]
                )
            found[row, seed] = [model.score(parts[side], splits[side].labels) for side in (1, 2)]
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("vae")
    parser.add_argument("autoencoder")
    parser.add_argument(
        "--labels", type=int, nargs="+", default=[10, 100, 1000, EVERY], help="a class"
    )
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=["mean", "gaussian", "states"])
    options = parser.parse_args()
    splits = read_corpus(options.corpus)
    print(
        f"| {options.corpus.name} | "
        + " | ".join("all" if n == EVERY else str(n) for n in options.labels)
        + " |"
    )
    print("|---" * (len(options.labels) + 1) + "|")
    kinds = {"TF-IDF": bags(splits)}
    for name, run in (("VAE", options.vae), ("autoencoder", options.autoencoder)):
        kinds |= {
            f"{name}, {kind}": parts for kind, parts in latents(run, options.kinds, splits).items()
        }
    if "VAE, states" in kinds:
        kinds["TF-IDF and VAE, states"] = side_by_side(kinds["TF-IDF"], kinds["VAE, states"])
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
