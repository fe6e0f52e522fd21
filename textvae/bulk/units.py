"""Units: the pieces of work that a bulk job is cut into, the same for any number of processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textvae.runtime.seeds import derive_seed


@dataclass(frozen=True)
class Unit:
    """Consecutive rows of one file, or sentences to generate. Each unit becomes one shard.

    Attributes:
        number: position in the plan, from 0; the name of the shard contains it.
        first_row: the first row, counted from 0 within the file.
        rows: how many rows.
        file: name within the folder of the corpus; None where sentences are generated.
    """

    number: int
    first_row: int
    rows: int
    file: str | None = None


def cut_units(files: Iterable[tuple[str | None, int]], max_rows: int) -> Iterator[Unit]:
    """Cut files into units of at most `max_rows` rows.

    Args:
        files: name and number of rows of each file. One without a name is cut the same way:
            its rows are sentences to generate.
    """
    number = 0
    for file, rows in files:
        for first_row in range(0, rows, max_rows):
            yield Unit(number, first_row, min(max_rows, rows - first_row), file)
            number += 1


def derive_unit_seed(unit: Unit, seed: int) -> int:
    """Return the seed of a unit, below 2^63.

    It depends only on the job's seed and the unit's number, so that any process,
    in any order, computes the same shard.
    """
    return derive_seed(seed, unit.number)
