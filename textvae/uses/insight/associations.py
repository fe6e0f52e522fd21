"""Associations: how strongly each coordinate of the latent is associated with a column or word.

For numbers the measure is Spearman's rank correlation, -1 to 1. For classes it is eta,
the correlation ratio on ranks, 0 to 1: the root of the share of the ranks' variance
that lies between classes, which is Kruskal and Wallis's H divided by n - 1. Both are on
one scale: with two classes, eta is the absolute value of Spearman's correlation with 0
and 1. Spearman's correlation misses relations that are not monotone; eta misses classes
whose mean ranks are equal. For words the measure is Pearson's correlation.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError
from textvae.uses.insight.columns import PropertyColumn

_Float32Array = NDArray[np.float32]
_Float64Array = NDArray[np.float64]

_NO_ASSOCIATION = (0.0, 1.0)  # value and p-value of a coordinate that never varies

# A word is tested only if at least this many texts contain it, and as many do not. The
# larger of the number and the share of texts applies.
MIN_TEXTS_PER_WORD = 5
MIN_WORD_SHARE = 0.005

# Standard errors by which a word's correlation must differ from 0. The bound is strict
# because many words are tested.
_MIN_STANDARD_ERRORS = 4.0

_MAX_WORDS_PER_END = 5

_WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")  # punctuation is a word of its own


def compute_associations(z: _Float32Array, column: PropertyColumn) -> list[dict[str, Any]]:
    """Return the association of each dimension of z, (n, latent), with a column.

    Keys: `column`, `measure`, `value` and `p_value` (of this test alone); for classes
    also `low` and `high`, the classes with the lowest and the highest mean rank.
    """
    associate = _rank_correlation if column.is_numeric else _rank_ratio
    return [associate(coordinate, column) for coordinate in z.T.astype(np.float64)]


def _rank_correlation(coordinate: _Float64Array, column: PropertyColumn) -> dict[str, Any]:
    """Return Spearman's correlation of a coordinate, (n,), with numbers."""
    from scipy.stats import spearmanr

    # The correlation with a constant is not defined, and scipy would return NaN.
    value, p_value = spearmanr(coordinate, column.values) if np.ptp(coordinate) else _NO_ASSOCIATION
    return {
        "column": column.name,
        "measure": "spearman",
        "value": float(value),
        "p_value": float(p_value),
    }


def _rank_ratio(coordinate: _Float64Array, column: PropertyColumn) -> dict[str, Any]:
    """Return eta of a coordinate's ranks, (n,), between classes."""
    from scipy.stats import kruskal, rankdata

    names = np.unique(column.values)
    groups = [coordinate[column.values == name] for name in names]
    statistic, p_value = kruskal(*groups) if np.ptp(coordinate) else _NO_ASSOCIATION
    # Rounding may make H slightly negative.
    eta = np.sqrt(max(0.0, statistic) / (len(coordinate) - 1))
    ranks = rankdata(coordinate)
    mean_ranks = [ranks[column.values == name].mean() for name in names]
    return {
        "column": column.name,
        "measure": "eta",
        "value": float(eta),
        "p_value": float(p_value),
        "low": str(names[np.argmin(mean_ranks)]),
        "high": str(names[np.argmax(mean_ranks)]),
    }


def find_words_at_ends(z: _Float32Array, texts: Sequence[str]) -> list[dict[str, dict[str, float]]]:
    """Return the words at both ends of each dimension of z, (n, latent), with their correlations.

    Keys: `low` and `high`, each with the most correlated words first. The correlation is
    Pearson's between the coordinate and the word's presence in a text, 0 or 1.

    Raises:
        DataError: a text is blank.
    """
    words, correlations = _word_correlations(z, texts)
    threshold = _MIN_STANDARD_ERRORS / np.sqrt(len(texts))
    ends = []
    for values in correlations:
        order = np.argsort(values, kind="stable")
        lowest = order[:_MAX_WORDS_PER_END]
        highest = order[::-1][:_MAX_WORDS_PER_END]
        low = {words[word]: float(values[word]) for word in lowest if values[word] < -threshold}
        high = {words[word]: float(values[word]) for word in highest if values[word] > threshold}
        ends.append({"low": low, "high": high})
    return ends


def _word_correlations(z: _Float32Array, texts: Sequence[str]) -> tuple[Any, _Float64Array]:
    """Return the words that are neither rare nor nearly everywhere, and their correlations.

    Shapes:
        z: (n, latent); returns words, (words,), and correlations, (latent, words)
    """
    from sklearn.feature_extraction.text import CountVectorizer

    for index, text in enumerate(texts):
        if not text.strip():
            raise DataError(f"text {index} is blank; leave it out.")
    vectorizer = CountVectorizer(
        analyzer=lambda text: _WORD_PATTERN.findall(text.lower()), binary=True, dtype=np.float64
    )
    present = vectorizer.fit_transform(texts)
    n = len(texts)
    share = np.asarray(present.mean(0))[0]
    min_share = max(MIN_TEXTS_PER_WORD, MIN_WORD_SHARE * n) / n
    chosen = np.flatnonzero((share >= min_share) & (share <= 1 - min_share))
    deviation = z.std(0)
    standardized = (z - z.mean(0)) / np.where(deviation > 0, deviation, 1)
    # z has mean 0, so the presences need not be centered: they stay a sparse matrix.
    covariance = (present[:, chosen].T @ standardized).T / n
    word_deviation = np.sqrt(share[chosen] * (1 - share[chosen]))
    return vectorizer.get_feature_names_out()[chosen], covariance / word_deviation
