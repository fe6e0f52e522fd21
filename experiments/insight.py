"""Whether a latent's axes match properties of sentences better than axes turned by chance, or those of bags of words.

    python experiments/insight.py RUN past=tense/test.past present=tense/test.present
    python experiments/insight.py RUN SNIPS

Texts of a class stand in a file each, CLASS=FILE, or in a folder of SPLIT.txt and SPLIT.labels, of which test is taken.
The factors are that property and the length in words. Scored are the axes of the posterior means; the same means
turned by random orthogonal matrices: mean ± standard deviation, and how many of them come up to the axes; and the
first principal components, as many, of TF-IDF of words and pairs of words in these texts.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from labelled import read_corpus
from numpy.typing import NDArray
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer

from textvae.uses.insight import PropertyColumn, build_column
from textvae.uses.insight.disentanglement import score_factors
from textvae.vae import TextVAE

KEYS = ("best", "mig", "sap", "completeness", "informativeness", "disentanglement")


def read(places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return texts and classes."""
    if len(places) == 1:
        test = read_corpus(Path(places[0]))[2]
        return test.texts, list(test.labels)
    texts, classes = [], []
    for name, _, file in (place.partition("=") for place in places):
        lines = [
            line.strip()
            for line in Path(file).read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
        texts += lines
        classes += [name] * len(lines)
    return texts, classes


def components(texts: Sequence[str], count: int) -> NDArray[np.float32]:
    """Return the first principal components of bags of words, (n, count)."""
    bags = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\S+"
    ).fit_transform(texts)
    return PCA(count, svd_solver="arpack", random_state=0).fit_transform(bags).astype(np.float32)


def table(z: NDArray[np.float32], factors: Sequence[PropertyColumn]) -> dict[str, list[float]]:
    """Return the scores of each factor and of all, in the order of `KEYS`; nan where there is none."""
    return {
        row["factor"]: [number(row.get(key)) for key in KEYS] for row in score_factors(z, factors)
    }


def number(value: Any) -> float:
    """Return a score, or nan."""
    return float("nan") if value is None else float(value)


def turned(axes: float, rotations: NDArray[np.float64]) -> str:
    """Return the mean and the standard deviation over rotations, and how many come up to the axes."""
    return (
        f"{rotations.mean():.3f} ± {rotations.std(ddof=1):.3f} ({int((rotations >= axes).sum())})"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("places", nargs="+", metavar="CLASS=FILE|FOLDER")
    parser.add_argument("--rotations", type=int, default=20)
    parser.add_argument(
        "--limit", type=int, default=2000, help="texts, drawn by chance from more (default: 2000)"
    )
    options = parser.parse_args()
    pairs = list(zip(*read(options.places), strict=True))
    drawn = sorted(np.random.default_rng(1).permutation(len(pairs))[: options.limit])
    texts, classes = zip(*(pairs[place] for place in drawn), strict=True)
    lengths = [len(text.split()) for text in texts]
    factors = [build_column("property", texts, classes), build_column("length", texts, lengths)]
    z = TextVAE.from_pretrained(options.run, device="cpu").encode(texts)
    axes, bags = table(z, factors), table(components(texts, z.shape[1]), factors)
    random = np.random.default_rng(0)
    matrices = ortho_group.rvs(z.shape[1], size=options.rotations, random_state=random)
    rotations = [table((z @ matrix).astype(np.float32), factors) for matrix in matrices]
    print(
        f"{len(texts)} texts, {len(set(classes))} classes, {z.shape[1]} dimensions, {options.rotations} rotations\n"
    )
    print("| factor | score | axes | turned (as high) | bag of words |\n|---|---|---|---|---|")
    for factor, found in axes.items():
        for place, key in enumerate(KEYS):
            if not np.isnan(found[place]):
                many = turned(found[place], np.array([one[factor][place] for one in rotations]))
                print(
                    f"| {factor} | {key} | {found[place]:.3f} | {many} | {bags[factor][place]:.3f} |"
                )


if __name__ == "__main__":
    main()
