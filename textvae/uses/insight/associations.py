"""How much each dimension of z goes with a column, and with words."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textvae.extras import check_installed
from textvae.uses.insight.columns import Column

Numbers = NDArray[np.float64]
SHOWN, RAREST = 5, 5  # words at each end; texts a word must be in, or one in a hundred if that is more


def associations(means: Numbers, column: Column) -> Numbers:
    """Return how much each dimension of the means, (n, latent), goes with a column, (latent,).

    With numbers Spearman's rank correlation, -1 to 1; with classes the correlation
    ratio eta, 0 to 1: the root of the share of the variance that lies between classes.
    """
    if column.numbers is None:
        return correlation_ratios(means, column.classes)
    check_installed("uses", "rank correlations", "scipy")
    from scipy.stats import rankdata

    return correlations(rankdata(means, axis=0), rankdata(column.numbers)[:, None])[:, 0]


def correlation_ratios(means: Numbers, classes: NDArray[np.int64]) -> Numbers:
    """Return eta of each dimension of the means, (n, latent), with classes, (n,): (latent,)."""
    spread = means - means.mean(0)
    kinds, counts = np.unique(classes, return_counts=True)
    centres = np.stack([spread[classes == kind].mean(0) for kind in kinds])
    between = counts @ centres**2
    ratios: Numbers = np.sqrt(between / np.maximum((spread**2).sum(0), 1e-12))
    return ratios


def correlations(left: Numbers, right: Numbers) -> Numbers:
    """Return Pearson's correlation of each column with each, (a, b), for (n, a) and (n, b); constants have none, 0."""
    left, right = left - left.mean(0), right - right.mean(0)
    norms = np.outer(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0))
    found: Numbers = (left.T @ right) / np.maximum(norms, 1e-12)
    return found


def telling_words(means: Numbers, texts: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the words whose presence goes most with low and with high values of each dimension, latent lists each."""
    check_installed("uses", "counts of words", "sklearn")
    from sklearn.feature_extraction.text import CountVectorizer

    seen = Counter(word for text in texts for word in set(text.lower().split()))
    least = max(RAREST, len(texts) // 100)
    words = sorted(word for word, count in seen.items() if least <= count < len(texts))
    if not words:
        return [[] for _ in means.T], [[] for _ in means.T]
    counter = CountVectorizer(vocabulary=words, binary=True, tokenizer=str.split, token_pattern=None)
    found = correlations(means, counter.transform(texts).toarray().astype(np.float64))
    orders = [[(float(row[place]), words[place]) for place in row.argsort()] for row in found]
    low = [[word for value, word in order[:SHOWN] if value < 0] for order in orders]
    high = [[word for value, word in order[: -SHOWN - 1 : -1] if value > 0] for order in orders]
    return low, high
