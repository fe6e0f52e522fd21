"""The table of a comparison: means and spreads over seeds, a row a config on a corpus."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal

Record = Mapping[str, Any]


UNDEFINED = "—"


@dataclass(frozen=True)
class Column:
    """A measure as the table shows it.

    Attributes:
        key: in the records.
        sign: what it is multiplied by to be shown; the files of numbers keep the records' own sign.
        best: which row's is set in bold, if any: only of what is better the lower, or the higher.
        cap: the key of what it cannot exceed, shown beside it.
    """

    key: str
    title: str
    digits: int = 2
    sign: int = 1
    best: Literal["lowest", "highest", None] = None
    cap: str | None = None


COLUMNS = (
    Column("iw_nll", "IW-NLL", best="lowest"),
    Column("ppl_word", "word ppl", best="lowest"),
    Column("elbo", "−ELBO", sign=-1, best="lowest"),
    Column("reconstruction", "reconstruction"),
    Column("kl", "KL"),
    Column("mi_full", "MI", cap="mi_full_cap"),
    Column("mi_batch32", "MI (32)", cap="mi_batch32_cap"),
    Column("active_units", "AU", digits=1, cap="latent_dim"),
    Column("bleu", "BLEU", best="highest"),
    Column("verdict", "verdict"),
    Column("minutes", "minutes", digits=1),
)


def columns_with(further: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of every table, and those of further measures."""
    known = {column.key for column in COLUMNS}
    return (*COLUMNS, *(Column(key, key.replace("_", " ")) for key in further if key not in known))


@dataclass(frozen=True)
class Row:
    """The runs of one config on one corpus, those that failed left out of what is averaged."""

    name: str
    corpus: str
    records: list[Record]

    @property
    def measured(self) -> list[Record]:
        """The records of the runs that came to their end."""
        return [record for record in self.records if not record["reason"]]

    def values(self, key: str) -> list[float]:
        """Return a measure of all runs that have it: undefined ones (null, not a number) are none."""
        given = [record.get(key) for record in self.measured]
        return [float(value) for value in given if isinstance(value, int | float) and not math.isnan(value)]

    def mean(self, key: str) -> float | None:
        """Return the mean of a measure; None where no run has it."""
        values = self.values(key)
        return mean(values) if values else None

    def spread(self, key: str) -> float | None:
        """Return the sample standard deviation (n - 1); None for fewer than two runs."""
        values = self.values(key)
        return stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None

    def words(self, key: str) -> str:
        """Return a measure that is a word: how many runs say what, if they do not agree, and how many failed."""
        counts = Counter(record[key] for record in self.measured if isinstance(record.get(key), str))
        failed = len(self.records) - len(self.measured)
        counts.update({"failed": failed} if failed and key == "verdict" else {})
        if len(counts) == 1:
            return str(next(iter(counts)))
        return ", ".join(f"{word} {count}" for word, count in counts.items()) or UNDEFINED


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Return the rows of the table, in the order of the records."""
    names = list(dict.fromkeys(record["config"] for record in records))
    grouped = [[record for record in records if record["config"] == name] for name in names]
    return [Row(name, group[0]["corpus"], group) for name, group in zip(names, grouped, strict=True)]


@dataclass(frozen=True)
class Cell:
    """What the table shows of one measure of one row."""

    text: str
    is_best: bool = False


def cells(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[Cell]]:
    """Return the table, row by row."""
    return [[Cell(shown(row, column), is_best(row, rows, column)) for column in columns] for row in rows]


def shown(row: Row, column: Column) -> str:
    """Return a measure's mean, with its spread if there are several runs and its cap if it has one."""
    value, spread = row.mean(column.key), row.spread(column.key)
    if value is None:
        return row.words(column.key)
    text = f"{rounded(value, column):.{column.digits}f}" if math.isfinite(value) else "∞"
    text += "" if spread is None else f" ± {spread:.{column.digits}f}"
    cap = row.mean(column.cap) if column.cap else None
    return text if cap is None else f"{text} / {cap:.{0 if cap.is_integer() else column.digits}f}"


def rounded(value: float, column: Column) -> float:
    """Return a number as far as the table shows it; there is no negative zero."""
    return round(column.sign * value, column.digits) + 0.0


def is_best(row: Row, rows: Sequence[Row], column: Column) -> bool:
    """Whether no row on the same corpus looks better, and one looks worse."""
    rivals = [other.mean(column.key) for other in rows if other.corpus == row.corpus]
    known = [rounded(value, column) for value in rivals if value is not None and math.isfinite(value)]
    mine = row.mean(column.key)
    if column.best is None or mine is None or len(set(known)) < 2:
        return False
    return rounded(mine, column) == (min(known) if column.best == "lowest" else max(known))
