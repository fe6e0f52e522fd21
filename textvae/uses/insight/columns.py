"""A column beside the texts: numbers, or classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError

MOST = 10  # different numbers that are taken for classes; more are cut into so many classes of like size


@dataclass(frozen=True)
class Column:
    """What is known of each text.

    Attributes:
        numbers: as numbers, (n,), or None where they are classes.
        classes: of each text, from 0, (n,); numbers are cut at their quantiles.
    """

    name: str
    numbers: NDArray[np.float64] | None
    classes: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, values: Sequence[Any], count: int) -> "Column":
        """Read a column: classes; or numbers, if all are, and more than ten differ or one stands alone.

        Raises:
            DataError: it is not one value a text, one is missing, all are the same, or a class has one text.
        """
        if len(values) != count:
            raise DataError(f"column {name!r} has {len(values)} values for {count} texts; wanted is one for each.")
        named = [str(value).strip() for value in values]
        for place, (value, text) in enumerate(zip(values, named, strict=True)):
            if value is None or value != value or not text:
                raise DataError(f"column {name!r}: text {place} has no value; give it one or leave the text out.")
        counts, numbers = Counter(named), as_numbers(named)
        if len(counts) == 1:
            raise DataError(f"column {name!r} is {named[0]!r} for every text: nothing can go with it; leave it out.")
        alone = [known for known, seen in counts.items() if seen == 1]
        if numbers is not None and (len(counts) > MOST or alone):
            inner = np.quantile(numbers, np.linspace(0, 1, min(MOST, count // 10) + 1)[1:-1])
            return cls(name, numbers, np.searchsorted(np.unique(inner), numbers))
        if alone:
            raise DataError(f"column {name!r}: one text only is {alone[0]!r}; wanted are two of each class or more.")
        return cls(name, None, np.unique(named, return_inverse=True)[1])


def as_numbers(values: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the values as finite numbers, or None if one is none."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None
