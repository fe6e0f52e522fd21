"""Columns: properties of the texts, a value for each text.

A column is numeric if all its values are numbers and more than two differ;
otherwise its values are names of classes.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.data.labels import check_spelling
from textvae.errors import DataError
from textvae.uses.attribute import validate_labels

LENGTH_COLUMN = "length"  # in words; every text has it


@dataclass(frozen=True)
class PropertyColumn:
    """A property of n texts.

    Shapes:
        values: (n,), numbers or names
    """

    name: str
    values: NDArray[Any]
    is_numeric: bool

    @property
    def target(self) -> NDArray[Any]:
        """What to predict, (n,): the numbers, or the number of each text's class."""
        return self.values if self.is_numeric else np.unique(self.values, return_inverse=True)[1]

    def classes(self, most: int) -> NDArray[np.int_]:
        """Return the number of each text's class, (n,); more than `most` different numbers become groups of like size.

        The groups' bounds are quantiles.
        """
        different, classes = np.unique(self.values, return_inverse=True)
        return (
            group_by_quantile(self.values, most)
            if self.is_numeric and len(different) > most
            else classes
        )


def group_by_quantile(values: NDArray[Any], groups: int) -> NDArray[np.int_]:
    """Return the number of each value's group between quantiles, (n,); equal values share one."""
    bounds = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1]))
    return np.searchsorted(bounds, values)


def count_words(texts: Sequence[str]) -> list[int]:
    """Return the words of each text."""
    return [len(text.split()) for text in texts]


def build_column(name: str, texts: Sequence[str], values: Sequence[Any]) -> PropertyColumn:
    """Return a column that can be associated with something.

    Raises:
        DataError: a value is missing or not finite, all are the same, there are not as many as texts, or a class
            has a single text.
    """
    try:
        names = validate_labels(texts, values)
    except DataError as error:
        raise DataError(f"column {name!r}: {error}") from None
    are_numbers = all(
        isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in values
    )
    odd = [place for place, value in enumerate(values) if are_numbers and not math.isfinite(value)]
    if odd:
        raise DataError(
            f"column {name!r}: text {odd[0]} has {values[odd[0]]}; wanted are finite numbers."
        )
    counts = Counter(names)
    if len(counts) < 2:
        raise DataError(
            f"column {name!r}: every text has {names[0]!r}; what is the same for all goes with nothing."
        )
    if are_numbers and len(counts) > 2:
        return PropertyColumn(name, np.asarray(values, dtype=np.float64), True)
    check_spelling(counts)
    if single := next((label for label, count in sorted(counts.items()) if count < 2), None):
        raise DataError(
            f"column {name!r}: one text only is {single!r}; give another of that class, or leave it out."
        )
    return PropertyColumn(name, np.array(names), False)
