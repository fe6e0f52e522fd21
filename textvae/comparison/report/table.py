"""The table of a comparison: means and spreads over seeds, a row a config on a corpus."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal

RunRecord = Mapping[str, Any]


_UNDEFINED_TEXT = "—"


@dataclass(frozen=True)
class TableColumn:
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


TABLE_COLUMNS = (
    TableColumn("iw_nll", "IW-NLL", best="lowest"),
    TableColumn("ppl_word", "word ppl", best="lowest"),
    TableColumn("elbo", "−ELBO", sign=-1, best="lowest"),
    TableColumn("reconstruction", "reconstruction"),
    TableColumn("kl", "KL"),
    TableColumn("mi_full", "MI", cap="mi_full_cap"),
    TableColumn("mi_batch32", "MI (32)", cap="mi_batch32_cap"),
    TableColumn("active_units", "AU", digits=1, cap="latent_dim"),
    TableColumn("bleu", "BLEU", best="highest"),
    TableColumn("verdict", "verdict"),
    TableColumn("minutes", "minutes", digits=1),
)


def select_columns(further: Sequence[str]) -> tuple[TableColumn, ...]:
    """Return the columns of every table, and those of further measures."""
    known = {column.key for column in TABLE_COLUMNS}
    return (
        *TABLE_COLUMNS,
        *(TableColumn(key, key.replace("_", " ")) for key in further if key not in known),
    )


@dataclass(frozen=True)
class TableRow:
    """The runs of one config on one corpus, those that failed left out of what is averaged."""

    name: str
    corpus: str
    records: list[RunRecord]

    @property
    def measured(self) -> list[RunRecord]:
        """The records of the runs that came to their end."""
        return [record for record in self.records if not record["reason"]]

    def values(self, key: str) -> list[float]:
        """Return a measure of all runs that have it: undefined ones (null, not a number) are none."""
        given = [record.get(key) for record in self.measured]
        return [
            float(value)
            for value in given
            if isinstance(value, int | float) and not math.isnan(value)
        ]

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
        counts = Counter(
            record[key] for record in self.measured if isinstance(record.get(key), str)
        )
        failed = len(self.records) - len(self.measured)
        counts.update({"failed": failed} if failed and key == "verdict" else {})
        if len(counts) == 1:
            return str(next(iter(counts)))
        return ", ".join(f"{word} {count}" for word, count in counts.items()) or _UNDEFINED_TEXT


def group_rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """Return the rows of the table, in the order of the records."""
    names = list(dict.fromkeys(record["config"] for record in records))
    grouped = [[record for record in records if record["config"] == name] for name in names]
    return [
        TableRow(name, group[0]["corpus"], group)
        for name, group in zip(names, grouped, strict=True)
    ]


@dataclass(frozen=True)
class TableCell:
    """What the table shows of one measure of one row."""

    text: str
    is_best: bool = False


def build_cells(rows: Sequence[TableRow], columns: Sequence[TableColumn]) -> list[list[TableCell]]:
    """Return the table, row by row."""
    return [
        [TableCell(_format_cell(row, column), _is_best(row, rows, column)) for column in columns]
        for row in rows
    ]


def _format_cell(row: TableRow, column: TableColumn) -> str:
    """Return a measure's mean, with its spread if there are several runs and its cap if it has one."""
    value, spread = row.mean(column.key), row.spread(column.key)
    if value is None:
        return row.words(column.key)
    text = f"{_round_for_display(value, column):.{column.digits}f}" if math.isfinite(value) else "∞"
    text += "" if spread is None else f" ± {spread:.{column.digits}f}"
    cap = row.mean(column.cap) if column.cap else None
    return text if cap is None else f"{text} / {cap:.{0 if cap.is_integer() else column.digits}f}"


def _round_for_display(value: float, column: TableColumn) -> float:
    """Return a number as far as the table shows it; there is no negative zero."""
    return round(column.sign * value, column.digits) + 0.0


def _is_best(row: TableRow, rows: Sequence[TableRow], column: TableColumn) -> bool:
    """Whether no row on the same corpus looks better, and one looks worse."""
    rivals = [other.mean(column.key) for other in rows if other.corpus == row.corpus]
    known = [
        _round_for_display(value, column)
        for value in rivals
        if value is not None and math.isfinite(value)
    ]
    mine = row.mean(column.key)
    if column.best is None or mine is None or len(set(known)) < 2:
        return False
    return _round_for_display(mine, column) == (
        min(known) if column.best == "lowest" else max(known)
    )
