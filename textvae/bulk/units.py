"""Units: what one piece of the work is, whoever does it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textvae.runtime.seeds import derive_seed


@dataclass(frozen=True)
class Unit:
    """Some rows, all of one file or all to be generated.

    Attributes:
        number: names its shard.
        first: its first row, counted from 0 within the file.
        file: within the corpus' folder; None where sentences are generated.
    """

    number: int
    first: int
    rows: int
    file: str | None = None


def cut_units(files: Iterable[tuple[str | None, int]], most: int) -> Iterator[Unit]:
    """Yield the units of files of so many rows, at most `most` rows each."""
    number = 0
    for file, rows in files:
        for first in range(0, rows, most):
            yield Unit(number, first, min(most, rows - first), file)
            number += 1


def derive_unit_seed(unit: Unit, seed: int) -> int:
    """Return a unit's own seed, below 2^63: its draws do not depend on who makes them, or after what."""
    return derive_seed(seed, unit.number)
