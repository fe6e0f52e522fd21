"""Words at the ends of a coordinate: those whose presence in a text goes with a low value of it, or a high one."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError

LEAST, LEAST_SHARE = 5, 0.005  # texts that a word, and its absence, must be found in: the larger of the two
ERRORS = 4.0  # standard errors from 0 that a correlation must be, since there are many words
SHOWN = 5
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")  # punctuation is a word of its own


def words_at_ends(z: NDArray[np.float32], texts: Sequence[str]) -> list[dict[str, dict[str, float]]]:
    """Return, for each dimension of z, (n, latent), `low` and `high`: words, strongest first, and their correlations.

    The correlation is Pearson's between the coordinate and the word's presence, 0 or 1.

    Raises:
        DataError: a text is blank.
    """
    words, correlations = word_correlations(z, texts)
    floor, found = ERRORS / np.sqrt(len(texts)), []
    for values in correlations:
        order = np.argsort(values, kind="stable")
        low = {words[place]: float(values[place]) for place in order[:SHOWN] if values[place] < -floor}
        high = {words[place]: float(values[place]) for place in order[::-1][:SHOWN] if values[place] > floor}
        found.append({"low": low, "high": high})
    return found


def word_correlations(z: NDArray[np.float32], texts: Sequence[str]) -> tuple[Any, NDArray[np.float64]]:
    """Return the words that are neither rare nor nearly everywhere, and their correlations, (latent, words)."""
    from sklearn.feature_extraction.text import CountVectorizer

    for place, text in enumerate(texts):
        if not text.strip():
            raise DataError(f"text {place} is blank; leave it out.")
    counter = CountVectorizer(analyzer=lambda text: WORD.findall(text.lower()), binary=True, dtype=np.float64)
    present, n = counter.fit_transform(texts), len(texts)
    share = np.asarray(present.mean(0))[0]
    least = max(LEAST, LEAST_SHARE * n) / n
    chosen = np.flatnonzero((share >= least) & (share <= 1 - least))
    deviation = z.std(0)
    centred = (z - z.mean(0)) / np.where(deviation > 0, deviation, 1)
    covariance = (present[:, chosen].T @ centred).T / n
    return counter.get_feature_names_out()[chosen], covariance / np.sqrt(share[chosen] * (1 - share[chosen]))
