"""Columns: properties of the texts, with one value for each text.

A column is numeric if all its values are numbers and more than two of them differ.
Otherwise its values are names of classes.
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
from textvae.uses.numeric_attribute import is_number

LENGTH_COLUMN = "length"  # in words; computed for every text


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
    def targets(self) -> NDArray[Any]:
        """What to predict, (n,): the numbers, or the index of each text's class."""
        if self.is_numeric:
            return self.values
        return np.unique(self.values, return_inverse=True)[1]

    def to_classes(self, max_classes: int) -> NDArray[np.int_]:
        """Return the index of each text's class, (n,).

        A numeric column with more than `max_classes` different values is cut at its
        quantiles into groups of about equal size.
        """
        different, classes = np.unique(self.values, return_inverse=True)
        if self.is_numeric and len(different) > max_classes:
            return group_by_quantile(self.values, max_classes)
        return classes


def build_column(name: str, texts: Sequence[str], values: Sequence[object]) -> PropertyColumn:
    """Return a column whose association with the latent can be measured.

    Raises:
        DataError: the numbers of texts and values differ, a value is missing or not
            finite, all values are the same, or a class has a single text.
    """
    try:
        names = validate_labels(texts, values)
    except DataError as error:
        raise DataError(f"column {name!r}: {error}") from None
    are_numbers = all(is_number(value) for value in values)
    if are_numbers:
        _check_finite(name, values)
    counts = Counter(names)
    if len(counts) < 2:
        raise DataError(
            f"column {name!r}: every text has {names[0]!r}; a column needs at least two "
            "different values."
        )
    # Two numbers, such as 0 and 1, are more often the names of classes than quantities.
    if are_numbers and len(counts) > 2:
        return PropertyColumn(name, np.asarray(values, dtype=np.float64), True)
    check_spelling(counts)
    for label, count in sorted(counts.items()):
        if count < 2:
            raise DataError(
                f"column {name!r}: only one text is {label!r}; add another of that class, "
                "or leave it out."
            )
    return PropertyColumn(name, np.array(names), False)


def group_by_quantile(values: NDArray[Any], groups: int) -> NDArray[np.int_]:
    """Return the index of each value's group between quantiles, (n,).

    Equal values are in the same group, so there may be fewer groups than asked for. If
    nearly all values are the maximum, it is one group and all other values are another.
    """
    maximum = values.max()
    bounds = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1]))
    # A group ends with its bound, so a bound at the maximum separates nothing.
    bounds = bounds[bounds < maximum]
    if not len(bounds):
        below = values[values < maximum]
        bounds = np.unique(below)[-1:]
    return np.searchsorted(bounds, values)


def count_words(texts: Sequence[str]) -> list[int]:
    """Return the number of words of each text."""
    return [len(text.split()) for text in texts]


def _check_finite(name: str, values: Sequence[object]) -> None:
    """Refuse infinite numbers.

    Raises:
        DataError: a number is infinite; the message names the first text with one.
    """
    for index, value in enumerate(values):
        if isinstance(value, Real) and not math.isfinite(value):
            raise DataError(f"column {name!r}: text {index} has {value}; expected finite numbers.")
