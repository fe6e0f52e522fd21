"""Associations: how strongly each coordinate goes with a column.

With numbers it is Spearman's rank correlation, -1 to 1. With classes it is eta,
the correlation ratio on ranks, 0 to 1: the root of the share of the ranks'
variance that lies between classes, which is Kruskal and Wallis's H over n - 1.
Both are on one scale: with two classes eta is the size of Spearman's with 0 and
1. Neither sees what is not monotone within numbers, or equal on average between
classes.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError
from textvae.uses.insight.columns import PropertyColumn

_Float32Array = NDArray[np.float32]


_NO_ASSOCIATION = (0.0, 1.0)  # strength and p-value of a coordinate that never varies


def compute_associations(z: _Float32Array, column: PropertyColumn) -> list[dict[str, Any]]:
    """Return, for each dimension of z, (n, latent), `column`, `measure`, `value` and `p_value` (of this test alone).

    With classes also `low` and `high`: those with the lowest and the highest mean rank.
    """
    return [
        _rank_correlation(one, column) if column.is_numeric else _rank_ratio(one, column)
        for one in z.T.astype(np.float64)
    ]


def _rank_correlation(coordinate: NDArray[np.float64], column: PropertyColumn) -> dict[str, Any]:
    """Return Spearman's correlation of a coordinate, (n,), with numbers."""
    from scipy.stats import spearmanr

    value, p_value = spearmanr(coordinate, column.values) if np.ptp(coordinate) else _NO_ASSOCIATION
    return {
        "column": column.name,
        "measure": "spearman",
        "value": float(value),
        "p_value": float(p_value),
    }


def _rank_ratio(coordinate: NDArray[np.float64], column: PropertyColumn) -> dict[str, Any]:
    """Return eta of a coordinate's ranks, (n,), between classes."""
    from scipy.stats import kruskal, rankdata

    names = np.unique(column.values)
    groups = [coordinate[column.values == name] for name in names]
    statistic, p_value = kruskal(*groups) if np.ptp(coordinate) else _NO_ASSOCIATION
    ranks = rankdata(coordinate)
    means = [ranks[column.values == name].mean() for name in names]
    return {
        "column": column.name,
        "measure": "eta",
        "value": float(
            np.sqrt(max(0.0, statistic) / (len(coordinate) - 1))
        ),  # rounding may put H below 0
        "p_value": float(p_value),
        "low": str(names[np.argmin(means)]),
        "high": str(names[np.argmax(means)]),
    }


MIN_TEXTS_PER_WORD, MIN_WORD_SHARE = (
    5,
    0.005,
)  # texts that a word, and its absence, must be found in: the larger of the two


_MIN_STANDARD_ERRORS = (
    4.0  # standard errors from 0 that a correlation must be, since there are many words
)


_MAX_WORDS_PER_END = 5


_WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")  # punctuation is a word of its own


def find_words_at_ends(
    z: NDArray[np.float32], texts: Sequence[str]
) -> list[dict[str, dict[str, float]]]:
    """Return, for each dimension of z, (n, latent), `low` and `high`: words, strongest first, and their correlations.

    The correlation is Pearson's between the coordinate and the word's presence, 0 or 1.

    Raises:
        DataError: a text is blank.
    """
    words, correlations = _word_correlations(z, texts)
    floor, found = _MIN_STANDARD_ERRORS / np.sqrt(len(texts)), []
    for values in correlations:
        order = np.argsort(values, kind="stable")
        low = {
            words[place]: float(values[place])
            for place in order[:_MAX_WORDS_PER_END]
            if values[place] < -floor
        }
        high = {
            words[place]: float(values[place])
            for place in order[::-1][:_MAX_WORDS_PER_END]
            if values[place] > floor
        }
        found.append({"low": low, "high": high})
    return found


def _word_correlations(
    z: NDArray[np.float32], texts: Sequence[str]
) -> tuple[Any, NDArray[np.float64]]:
    """Return the words that are neither rare nor nearly everywhere, and their correlations, (latent, words)."""
    from sklearn.feature_extraction.text import CountVectorizer

    for place, text in enumerate(texts):
        if not text.strip():
            raise DataError(f"text {place} is blank; leave it out.")
    counter = CountVectorizer(
        analyzer=lambda text: _WORD_PATTERN.findall(text.lower()), binary=True, dtype=np.float64
    )
    present, n = counter.fit_transform(texts), len(texts)
    share = np.asarray(present.mean(0))[0]
    least = max(MIN_TEXTS_PER_WORD, MIN_WORD_SHARE * n) / n
    chosen = np.flatnonzero((share >= least) & (share <= 1 - least))
    deviation = z.std(0)
    centred = (z - z.mean(0)) / np.where(deviation > 0, deviation, 1)
    covariance = (present[:, chosen].T @ centred).T / n
    return counter.get_feature_names_out()[chosen], covariance / np.sqrt(
        share[chosen] * (1 - share[chosen])
    )
