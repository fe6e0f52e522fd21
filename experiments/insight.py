"""Test whether single latent dimensions match properties of sentences better than random axes.

    python experiments/insight.py RUN past=tense/test.past present=tense/test.present
    python experiments/insight.py RUN SNIPS

Either each CLASS=FILE names a class and the file of its texts, or a folder has
SPLIT.txt and SPLIT.labels, and its test split is used. There are two factors: the
class of a text (called `property`) and its length in words.

Three sets of axes are scored:

- the dimensions of the posterior means;
- the same means, rotated by random orthogonal matrices (mean ± standard deviation,
  and in parentheses how many rotations score at least as high as the dimensions);
- the same number of principal components of TF-IDF vectors of single words and pairs
  of words in these texts.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from labeled import read_corpus
from numpy.typing import NDArray
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer

from textvae.uses.insight import PropertyColumn, build_column
from textvae.uses.insight.disentanglement import score_factors
from textvae.vae import TextVAE

KEYS = ("best", "mig", "sap", "completeness", "informativeness", "disentanglement")


def read_texts(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return all texts and the class of each, from a folder or from CLASS=FILE arguments."""
    if len(sources) == 1:
        _, _, test = read_corpus(Path(sources[0]))
        return test.texts, list(test.labels)
    texts = []
    classes = []
    for source in sources:
        name, _, file = source.partition("=")
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        own_texts = [line.strip() for line in lines if line.strip()]
        texts += own_texts
        classes += [name] * len(own_texts)
    return texts, classes


def compute_components(texts: Sequence[str], count: int) -> NDArray[np.float32]:
    """Return the first principal components of TF-IDF, (n, count)."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\S+")
    pca = PCA(count, svd_solver="arpack", random_state=0)
    components: NDArray[np.float32] = pca.fit_transform(words.fit_transform(texts))
    return components.astype(np.float32)


def score_axes(
    z: NDArray[np.float32], factors: Sequence[PropertyColumn]
) -> dict[str, NDArray[np.float64]]:
    """Score axes, (n, dimensions), against each factor and against all factors together.

    Returns:
        For each name of a factor, its scores in the order of `KEYS`; NaN where a score is
        not defined.
    """
    scores = {}
    for row in score_factors(z, factors):
        values: list[Any] = [row.get(key) for key in KEYS]
        scores[row["factor"]] = np.array(values, dtype=float)  # None becomes NaN
    return scores


def format_rotations(score: float, rotated: NDArray[np.float64]) -> str:
    """Return mean ± standard deviation over rotations, and how many score at least as high."""
    count = int((rotated >= score).sum())
    return f"{rotated.mean():.3f} ± {rotated.std(ddof=1):.3f} ({count})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("sources", nargs="+", metavar="CLASS=FILE|FOLDER")
    parser.add_argument("--rotations", type=int, default=20, help="random rotations (default: 20)")
    parser.add_argument(
        "--limit", type=int, default=2000, help="use this many random texts (default: 2000)"
    )
    options = parser.parse_args()
    all_texts, all_classes = read_texts(options.sources)
    indices = sorted(np.random.default_rng(1).permutation(len(all_texts))[: options.limit])
    texts = tuple(all_texts[index] for index in indices)
    classes = tuple(all_classes[index] for index in indices)
    lengths = [len(text.split()) for text in texts]
    factors = [build_column("property", texts, classes), build_column("length", texts, lengths)]
    z = TextVAE.from_pretrained(options.run, device="cpu").encode(texts)
    latent = z.shape[1]
    axes = score_axes(z, factors)
    components = score_axes(compute_components(texts, latent), factors)
    random = np.random.default_rng(0)
    matrices = ortho_group.rvs(latent, size=options.rotations, random_state=random)
    rotations = [score_axes((z @ matrix).astype(np.float32), factors) for matrix in matrices]
    print(
        f"{len(texts)} texts, {len(set(classes))} classes, {latent} dimensions, "
        f"{options.rotations} rotations\n"
    )
    print("| factor | score | axes | random rotations | PCA of bags of words |")
    print("|---|---|---|---|---|")
    for factor, scores in axes.items():
        for index, key in enumerate(KEYS):
            if np.isnan(scores[index]):
                continue
            rotated = np.array([rotation[factor][index] for rotation in rotations])
            print(
                f"| {factor} | {key} | {scores[index]:.3f} | "
                f"{format_rotations(scores[index], rotated)} | {components[factor][index]:.3f} |"
            )


if __name__ == "__main__":
    main()
