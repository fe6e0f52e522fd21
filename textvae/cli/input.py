"""The rows a verb is given: those of a file, or of standard input, each with its number.

One reader serves every verb. It yields blank rows too, so that results can be
lined up with the rows, and says on standard error how many were blank and how
many texts were too long for the model, with their places.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from textvae.data.row_report import (
    LEFT_OUT,
    RowNumbers,
    print_note,
    report_blank_rows,
    report_cut_texts,
)
from textvae.data.sources import explain_format_error, find_splits, infer_split, list_corpus_files
from textvae.data.tables import Quoting, Row, as_label, open_rows
from textvae.errors import ConfigError, DataError

if TYPE_CHECKING:
    from textvae.inference.bundle import Bundle
    from textvae.runs.run import Run

_ROWS_PER_ANSWER = 1024  # rows that are answered together


T = TypeVar("T")


class _InputRow(NamedTuple):
    """A row of a verb's input.

    Attributes:
        number: its place in the file, counted from 1; a table's head does not count.
        text: None where it is blank.
        label: of a conditional model.
        values: of the other columns that were asked for, in that order.
    """

    number: int
    text: str | None
    label: str | None = None
    values: tuple[Any, ...] = ()


class InputRows:
    """The rows of a file, or of standard input, as a stream; it can be read once.

    Once all are read, it says which were blank and which too long.

    Args:
        run: whose text column a table is read by, unless `text_column` names another.
        quoting: of a .csv or .tsv, unless it is that of the run.
        bundle: the model that will read the texts; without it, too long ones are not counted.
        label_column: where a table has the labels of a conditional model.
        columns: other columns to read.
        fate: what becomes of blank rows, for the message: "left out", "written as NaN" and so on.
    """

    def __init__(
        self,
        file: str,
        run: "Run",
        text_column: str | None = None,
        *,
        quoting: Quoting | None = None,
        bundle: "Bundle | None" = None,
        label_column: str | None = None,
        columns: Sequence[str] = (),
        fate: str = LEFT_OUT,
    ) -> None:
        self.file, self.name = file, "standard input" if file == "-" else file
        data = run.read_settings().data
        if file == "-" and (text_column or quoting):
            option = "--text-column" if text_column else "--quoting"
            raise ConfigError(
                f"{option} is for tables, and standard input is read as text, one sentence per line; name a file."
            )
        self.text_column, self.quoting = text_column or data.text_column, quoting or data.quoting
        self.label_column, self.columns, self.fate = label_column, columns, fate
        self.bundle = bundle
        self.count = 0
        self.blank, self.cut = RowNumbers(), RowNumbers()
        self._suspects: list[tuple[int, str]] = []  # texts that may be too long

    def __iter__(self) -> Iterator[_InputRow]:
        """Yield the rows, blank ones too.

        Raises:
            DataError: there is no sentence, a column is missing, or a sentence has no label.
        """
        for row in self._source():
            self.count += 1
            found = self._read(row)
            if found.text is None:
                self.blank.add(self.count)
            else:
                self._suspect(found.text)
            yield found
        if self.blank.count == self.count:
            raise DataError(f"{self.name}: holds no sentence.")
        self._tell()

    def texts(self) -> Iterator[str]:
        """Yield the texts alone, blank ones left out."""
        return (row.text for row in self if row.text is not None)

    def filled(self) -> list[_InputRow]:
        """Return all rows but blank ones."""
        return [row for row in self if row.text is not None]

    def _source(self) -> Iterator[Row]:
        """Return the raw rows."""
        if self.file == "-":
            return _read_standard_input(self.text_column)
        splits = find_splits(self.file, self.text_column, self.quoting)
        if others := sorted(splits.keys() - {"train"}):
            print_note(
                f"{self.name}: only its train split is read. Name a file to read {' or '.join(others)}."
            )
        files = list_corpus_files(self.file)
        if len([file for file in files if infer_split(file.name) == "train"]) > 1:
            print_note(
                f"{self.name}: its files are read in the order of their names, and rows counted through all of them."
            )
        return splits["train"]()

    def _read(self, row: Row) -> _InputRow:
        """Return a row with what is asked for of it; only a row with a text must have its labels."""
        from textvae.data.corpus import extract_text

        for name in self.columns:
            if name not in row:
                there = ", ".join(row)
                raise DataError(
                    f"{self.file}: there is no column {name!r} of labels; there are {there}. Name another."
                )
        text = extract_text(row, self.text_column, self.count).strip()
        values = tuple(row[name] for name in self.columns)
        if not text:
            return _InputRow(self.count, None, values=values)
        for name, value in zip(self.columns, values, strict=True):
            if value is None or value != value or not str(value).strip():
                raise DataError(
                    f"{self.file}: row {self.count} has no label in column {name!r}; give it one, or leave the row out."
                )
        label = (
            None
            if self.label_column is None
            else _require_label(row, self.label_column, self.file, self.count)
        )
        return _InputRow(self.count, text, label, values)

    def _suspect(self, text: str) -> None:
        """Remember a text that may be too long; count those that are, some at a time."""
        # Tokenizing every text once more would take time: none has more tokens than bytes and a leading space.
        if self.bundle is not None and len(text.encode()) >= self.bundle.max_text_tokens:
            self._suspects.append((self.count, text))
            if len(self._suspects) == _ROWS_PER_ANSWER:
                self._count_cut()

    def _count_cut(self) -> None:
        """Count the suspects that are too long."""
        from textvae.data.tokenization import encode_batch

        if self.bundle is None or not self._suspects:
            return
        tokens = encode_batch(self.bundle.tokenizer, [text for _, text in self._suspects])
        for (number, _), ids in zip(self._suspects, tokens, strict=True):
            if len(ids) > self.bundle.max_text_tokens:
                self.cut.add(number)
        self._suspects.clear()

    def _tell(self) -> None:
        """Say what was blank and what too long, in a line each."""
        self._count_cut()
        report_blank_rows(self.name, self.blank, self.count, self.fate)
        report_cut_texts(self.name, self.cut)


def _read_standard_input(column: str) -> Iterator[Row]:
    """Yield the lines of standard input as rows.

    Raises:
        DataError: it is closed, or no text.
    """
    if sys.stdin is None:
        raise DataError(
            "standard input is closed; name a file, or pipe sentences in, one per line."
        )
    reader = open_rows(sys.stdin.buffer, None, column)
    try:
        for record in reader.records():
            yield reader.row(record)
    except ValueError as error:
        raise DataError(explain_format_error("standard input", None, reader.line, error)) from None


def _require_label(row: Row, column: str, file: str, number: int) -> str:
    """Return a row's label as text.

    Raises:
        DataError: it has none.
    """
    label = as_label(row.get(column))
    if not label:
        raise DataError(
            f"{file}: the model was trained with labels, and row {number} has no {column!r}: "
            "give a table with that column, or one --label for all."
        )
    return label


def pair_rows_with_answers(
    rows: Iterable[_InputRow], answer: Callable[[list[str], list[str]], Sequence[T]]
) -> Iterator[tuple[_InputRow, T | None]]:
    """Yield each row with its answer, None for a blank one, block by block.

    Args:
        answer: answers texts, with the label of each (blank where there are none), in order.
    """
    flow = iter(rows)
    while block := list(islice(flow, _ROWS_PER_ANSWER)):
        texts = [row.text for row in block if row.text is not None]
        labels = [row.label or "" for row in block if row.text is not None]
        answers = iter(answer(texts, labels) if texts else [])
        for row in block:
            yield row, None if row.text is None else next(answers)
