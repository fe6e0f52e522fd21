"""The table of a comparison: one row per config and corpus, means and deviations over seeds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal, get_origin, get_type_hints

from textvae.errors import ConfigError, did_you_mean
from textvae.evaluation.measures.mutual_information import is_at_cap
from textvae.runs.measure_definitions import MEASURE_DEFINITIONS
from textvae.terminal import quote_value
from textvae.uses.records import ComparedRun

# What `build_run_record` in runner.py returns: names, `reason`, and the measures.
RunRecord = Mapping[str, Any]

_UNDEFINED_TEXT = "—"

# What is the same for all runs that were measured on the same words, up to a tolerance: the
# unknown share is also one of the training split, which a tokenizer may have learned from.
_TEST_KEYS = {"sentences": 0.0, "words_per_sentence": 1e-6, "unknown_share": 1e-3}


@dataclass(frozen=True)
class TableColumn:
    """A measure as the table shows it.

    Attributes:
        key: the measure's key in the records.
        digits: digits after the decimal point.
        sign: factor for display, 1 or -1; the CSV files keep the sign of the records.
        best: which value is bold; None if neither lower nor higher values are simply better.
        cap: key of the measure's upper bound, which is shown after the value.
        saturates: whether a value near its cap says only that the true value is at least as
            large; such a value is shown as a bound.
    """

    key: str
    title: str
    digits: int = 2
    sign: int = 1
    best: Literal["lowest", "highest", None] = None
    cap: str | None = None
    saturates: bool = False


TABLE_COLUMNS = (
    TableColumn("iw_nll", "IW-NLL", best="lowest"),
    # A language model's likelihood is exact, so it must not be compared without these two.
    TableColumn("iw_looseness", "looseness"),
    TableColumn("iw_ess_median", "ESS", digits=1, cap="iw_samples"),
    TableColumn("ppl_word", "word ppl", best="lowest"),
    TableColumn("elbo", "−ELBO", sign=-1, best="lowest"),
    TableColumn("reconstruction", "reconstruction"),
    TableColumn("kl", "KL"),
    TableColumn("kl_weight", "KL weight"),
    TableColumn("mi_full", "MI", cap="mi_full_cap", saturates=True),
    TableColumn("mi_batch32", "MI (32)", cap="mi_batch32_cap", saturates=True),
    TableColumn("active_units", "AU", digits=1, cap="latent_dim"),
    TableColumn("active_units_strict", "AU (0.1)", digits=1, cap="latent_dim"),
    TableColumn("effective_units", "effective units", digits=1),
    TableColumn("bleu", "BLEU", best="highest"),
    TableColumn("verdict", "verdict"),
    TableColumn("minutes", "minutes", digits=1),
)


def select_columns(further_keys: Sequence[str]) -> tuple[TableColumn, ...]:
    """Return the usual columns, followed by those of further measures.

    Args:
        further_keys: keys of measures; those of the usual columns are ignored.

    Raises:
        ConfigError: a key is not that of a number or a word in the record of a run.
    """
    known_keys = _list_known_keys()
    for key in further_keys:
        if not isinstance(key, str) or key not in known_keys:
            raise ConfigError(
                f"columns = {quote_value(key)} is unknown: {did_you_mean(key, known_keys)}Name keys "
                "of numbers or words in the measures.json of a run, such as bits_per_byte; "
                "docs/measures.md defines them."
            )
    usual_keys = {column.key for column in TABLE_COLUMNS}
    further = [
        TableColumn(key, key.replace("_", " ")) for key in further_keys if key not in usual_keys
    ]
    return (*TABLE_COLUMNS, *further)


def _list_known_keys() -> set[str]:
    """Return the keys that the record of a run may have, without those of lists.

    Measures that `compare` does not compute are known, too: `textvae evaluate` may have added
    them to a run since.
    """
    types = get_type_hints(ComparedRun)
    own_keys = {key for key, value in types.items() if get_origin(value) is not list}
    return own_keys | MEASURE_DEFINITIONS.keys()


@dataclass(frozen=True)
class TableRow:
    """The runs of one config on one corpus.

    Attributes:
        name: the config's name, followed by the corpus's if corpora were compared.
        records: one per run, including those of failed runs, which do not count in means.
    """

    name: str
    corpus: str
    records: list[RunRecord]

    @property
    def finished_records(self) -> list[RunRecord]:
        """The records of the runs that did not fail."""
        return [record for record in self.records if not record["reason"]]

    def defined_values(self, key: str) -> list[float]:
        """Return the values of a measure in finished runs, without those that are null or NaN."""
        values = [record.get(key) for record in self.finished_records]
        numbers = [value for value in values if isinstance(value, int | float)]
        return [float(value) for value in numbers if not math.isnan(value)]

    def mean(self, key: str) -> float | None:
        """Return the mean of a measure, or None if no run has it."""
        values = self.defined_values(key)
        return mean(values) if values else None

    def standard_deviation(self, key: str) -> float | None:
        """Return the sample standard deviation (dividing by n - 1).

        It is None for fewer than two runs, or if a value is infinite.
        """
        values = self.defined_values(key)
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return None
        return stdev(values)

    def summarize_words(self, key: str) -> str:
        """Return the value of a measure whose values are words, such as the verdict.

        If the runs differ, each word is followed by its number of runs: "healthy 2, weak 1".
        In the verdict, failed runs count as "failed". Without any word the result is a dash.
        """
        words = [record.get(key) for record in self.finished_records]
        counts = Counter(word for word in words if isinstance(word, str))
        failed = len(self.records) - len(self.finished_records)
        if failed and key == "verdict":
            counts["failed"] += failed
        if not counts:
            return _UNDEFINED_TEXT
        if len(counts) == 1:
            return next(iter(counts))
        return ", ".join(f"{word} {count}" for word, count in counts.items())


def group_rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """Return the rows of the table, in the order of the records."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record["config"], []).append(record)
    return [TableRow(name, group[0]["corpus"], group) for name, group in groups.items()]


@dataclass(frozen=True)
class TableCell:
    """The text that the table shows for one measure of one row."""

    text: str
    is_best: bool = False


def build_cells(rows: Sequence[TableRow], columns: Sequence[TableColumn]) -> list[list[TableCell]]:
    """Return the cells of the table, row by row."""
    return [_build_row_cells(row, rows, columns) for row in rows]


def _build_row_cells(
    row: TableRow, rows: Sequence[TableRow], columns: Sequence[TableColumn]
) -> list[TableCell]:
    """Return the cells of `row`, one of the rows of the table."""
    return [TableCell(_format_cell(row, column), _is_best(row, rows, column)) for column in columns]


def _format_cell(row: TableRow, column: TableColumn) -> str:
    """Return the text of a cell: mean ± deviation / cap, the last two only if they are defined."""
    value = row.mean(column.key)
    if value is None:  # the values are words, or undefined
        return row.summarize_words(column.key)
    text = "∞"
    if math.isfinite(value):
        text = f"{_round_for_display(value, column):.{column.digits}f}"
    deviation = row.standard_deviation(column.key)
    if deviation is not None:
        text += f" ± {deviation:.{column.digits}f}"
    cap = row.mean(column.cap) if column.cap else None
    if cap is not None and column.saturates and is_at_cap(value, cap):
        text = f"≥ {text}"
    if cap is not None:
        digits = 0 if cap.is_integer() else column.digits
        text += f" / {cap:.{digits}f}"
    return text


def _round_for_display(value: float, column: TableColumn) -> float:
    """Return a number with the sign and the digits that the table shows."""
    return round(column.sign * value, column.digits) + 0.0  # + 0.0 turns -0.0 into 0.0


def have_same_test(rows: Sequence[TableRow]) -> bool:
    """Return whether rows of one corpus were measured on the same words, as far as can be seen."""
    for key, tolerance in _TEST_KEYS.items():
        values = [value for row in rows if (value := row.mean(key)) is not None]
        if values and max(values) - min(values) > tolerance:
            return False
    return True


def _is_best(row: TableRow, rows: Sequence[TableRow], column: TableColumn) -> bool:
    """Return whether a value is bold: no other on the same corpus is better, and one is worse.

    Values are compared as the table rounds them, so that equal texts are both bold or both not.
    """
    own_mean = row.mean(column.key)
    if column.best is None or own_mean is None:
        return False
    of_corpus = [other for other in rows if other.corpus == row.corpus]
    if not have_same_test(of_corpus):
        return False
    means = [other.mean(column.key) for other in of_corpus]
    rounded = {
        _round_for_display(value, column)
        for value in means
        if value is not None and math.isfinite(value)
    }
    if len(rounded) < 2:
        return False
    best = min(rounded) if column.best == "lowest" else max(rounded)
    return _round_for_display(own_mean, column) == best
