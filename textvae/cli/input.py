"""The rows that a verb reads from a file or from standard input, each with its number.

One reader serves every verb. It yields blank rows too, so that results can be
aligned with the rows. On standard error it reports how many rows were blank and how
many texts were too long for the model, with their numbers.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from textvae.data.row_report import LEFT_OUT, RowNumbers, report_blank_rows, report_cut_texts
from textvae.data.sources import (
    STANDARD_INPUT,
    FileSource,
    PlacedRow,
    find_splits,
    is_pipe,
    list_training_files,
    resolve_path,
)
from textvae.data.table_options import refuse_unused_options
from textvae.data.tables import (
    Row,
    TableOptions,
    as_label,
    explain_missing_column,
    find_cell,
    is_missing,
    list_cell_names,
    override_table_settings,
)
from textvae.errors import DataError
from textvae.messages import print_note

if TYPE_CHECKING:
    from textvae.inference.bundle import Bundle
    from textvae.runs.run import Run

_ROWS_PER_ANSWER = 1024  # rows that are answered together

T = TypeVar("T")


class _InputRow(NamedTuple):
    """A row of a verb's input.

    Attributes:
        number: its number in its file, counted from 1; the header of a table is not counted.
        text: None if it is blank.
        label: its label, for a conditional model.
        values: its values in the other columns that were asked for, in that order.
        file: the file that it is in.
        line: the line where it begins; None for formats without lines.
    """

    number: int
    text: str | None
    label: str | None = None
    values: tuple[Any, ...] = ()
    file: str = ""
    line: int | None = None


class InputRows:
    """The rows of a file, or of standard input, as a stream that can be read once.

    At the end it reports which rows were blank and which texts were too long.

    Args:
        file: a path, or "-" for standard input.
        run: provides the text column and the quoting of tables.
        tables: how the file is read, where that differs from the run's training.
        bundle: the model that will read the texts; without it, texts that are too long are not
            counted.
        label_column: the column of a table with the labels of a conditional model.
        columns: other columns to read.
        fate: what becomes of blank rows, for the message: "left out", "written as NaN" ...
        text_option: the option that names the column of the texts, for messages.
        column_options: the option that chooses each of the other columns, by column.

    Attributes:
        name: the input as messages call it.
        count: how many rows have been read.
        blank: the numbers of those that were blank.
        cut: the numbers of those whose text is too long; complete after the last row.

    Raises:
        ConfigError: an option for tables is wrong, or does not apply to the file.
    """

    def __init__(
        self,
        file: str,
        run: "Run",
        tables: TableOptions | None = None,
        *,
        bundle: "Bundle | None" = None,
        label_column: str | None = None,
        columns: Sequence[str] = (),
        fate: str = LEFT_OUT,
        text_option: str = "--text-column",
        column_options: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = override_table_settings(run.read_settings().data, tables)
        self.file = file
        self.name = "standard input" if file == STANDARD_INPUT else file
        path = resolve_path(file)
        files = [path] if is_pipe(path) else list_training_files(file)
        refuse_unused_options(files, self.name, self.settings, tables)
        self.label_column = label_column
        self.columns = columns
        self.fate = fate
        self.text_option = text_option
        self.column_options = column_options or {}
        self.bundle = bundle
        self.count = 0
        self.blank = RowNumbers()
        self.cut = RowNumbers()
        self._has_many_files = False
        self._possibly_long: list[tuple[int | str, str]] = []  # row, text

    def _advise(self, column: str) -> str:
        """Return what to do if a column is missing."""
        option = self.column_options.get(column)
        return f"Choose one of these with {option}." if option else "Choose one of these."

    def __iter__(self) -> Iterator[_InputRow]:
        """Yield the rows, blank ones too.

        Raises:
            DataError: there is no sentence, a column is missing, or a sentence has no value in
                one of the columns.
        """
        for placed in self._open():
            self.count += 1
            row = self._parse(placed)
            if row.text is None:
                self.blank.add(self._name_row(placed))
            else:
                self._note_length(row.text, self._name_row(placed))
            yield row
        if self.blank.count == self.count:
            raise DataError(
                f"{self.name}: holds no sentence; expected at least one row that is not blank."
            )
        self._report()

    def iterate_texts(self) -> Iterator[str]:
        """Yield the texts of all rows that are not blank."""
        return (row.text for row in self if row.text is not None)

    def _open(self) -> Iterator[PlacedRow]:
        """Return the raw rows of the input; of a folder, those of its train split."""
        splits = find_splits(self.file, self.settings)
        others = sorted(splits.keys() - {"train"})
        if others:
            print_note(
                f"{self.name}: only its train split is read. "
                f"Name a file to read {' or '.join(others)}."
            )
        if len(list_training_files(self.file)) > 1:
            print_note(
                f"{self.name}: its files are read in the order of their names, "
                "with rows counted in each of them."
            )
            self._has_many_files = True
        source = splits["train"]
        if isinstance(source, FileSource):
            return source.iterate_places()
        rows = enumerate(source(), start=1)  # of a data set, whose rows have no lines
        return (PlacedRow(self.name, number, None, values) for number, values in rows)

    def _name_row(self, placed: PlacedRow) -> int | str:
        """Return a row as notes call it: its number, with its file if there are several."""
        if self._has_many_files:
            return f"{placed.number} of {Path(placed.file).name}"
        return placed.number

    def _parse(self, placed: PlacedRow) -> _InputRow:
        """Return a row with the columns that were asked for.

        Raises:
            DataError: a column is missing, or a row with a text has no value in it.
        """
        # Imported late: it loads `datasets`, which takes seconds, and --help must be fast.
        from textvae.data.corpus import extract_text

        file, number, line, raw = placed
        # The name may hold bytes that are not UTF-8, which could not be printed.
        file = os.fsencode(file).decode("utf-8", "backslashreplace")
        column = self.settings.text_column
        values = tuple(
            _find_value(raw, name, column, file, self._advise(name)) for name in self.columns
        )
        _find_value(raw, column, column, file, f"Name one of these with {self.text_option}.")
        try:
            text = extract_text(
                raw, column, number, f"Name another column with {self.text_option}."
            )
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
        if self.settings.white_space == "fold":
            text = text.strip()
        if not text.strip():
            return _InputRow(number, None, None, values, file, line)
        for name, value in zip(self.columns, values, strict=True):
            if _is_missing(value):
                raise DataError(
                    f"{file}: row {number} has no value in column {name!r}; "
                    "fill it in, or leave the row out."
                )
        label = None
        if self.label_column is not None:
            label = _require_label(raw, self.label_column, file, number)
        return _InputRow(number, text, label, values, file, line)

    def _note_length(self, text: str, row: int | str) -> None:
        """Remember a text that may be too long for the model, and the name of its row."""
        # Tokenizing every text once more would take time. A text has at most one token per byte,
        # and one for a leading space, so most texts need no check.
        if self.bundle is not None and len(text.encode()) >= self.bundle.max_text_tokens:
            self._possibly_long.append((row, text))
            if len(self._possibly_long) == _ROWS_PER_ANSWER:
                self._count_cut()

    def _count_cut(self) -> None:
        """Tokenize the texts that may be too long, and count those that are."""
        from textvae.data.tokenization import encode_texts

        if self.bundle is None or not self._possibly_long:
            return
        texts = [text for _, text in self._possibly_long]
        tokens = encode_texts(self.bundle.tokenizer, texts)
        for (number, _), ids in zip(self._possibly_long, tokens, strict=True):
            if len(ids) > self.bundle.max_text_tokens:
                self.cut.add(number)
        self._possibly_long.clear()

    def _report(self) -> None:
        """Report blank rows and texts that were too long, one line for each kind."""
        self._count_cut()
        report_blank_rows(self.name, self.blank, self.count, self.fate)
        report_cut_texts(self.name, self.cut)


def pair_rows_with_answers(
    rows: Iterable[_InputRow], answer: Callable[[list[str], list[str]], Sequence[T]]
) -> Iterator[tuple[_InputRow, T | None]]:
    """Yield each row with its answer, block by block; the answer of a blank row is None.

    Args:
        answer: a function of texts and their labels that returns the answers in order; without a
            label column, every label is "".
    """
    stream = iter(rows)
    while block := list(islice(stream, _ROWS_PER_ANSWER)):
        texts = [row.text for row in block if row.text is not None]
        labels = [row.label or "" for row in block if row.text is not None]
        answers = iter(answer(texts, labels) if texts else [])
        for row in block:
            yield row, None if row.text is None else next(answers)


def _is_place(column: str) -> bool:
    """Whether the name of a column is a number, counted from 1."""
    return column.isascii() and column.isdigit() and int(column) > 0


def _find_value(row: Row, column: str, text_column: str, file: str, advice: str) -> Any:
    """Return the value of a column that was asked for by its name, or by its number from 1.

    Args:
        text_column: the column of the texts, as the user wrote it.
        advice: what to do if the column is missing, for the message.

    Raises:
        DataError: the column is missing.
    """
    try:
        return find_cell(row, column)
    except KeyError:
        # The column of the texts is also in the row under the number by which it was asked for.
        names = [
            name for name in list_cell_names(row) if name != text_column or not _is_place(name)
        ]
        if _is_place(column) and int(column) <= len(names):
            return find_cell(row, names[int(column) - 1])
        problem = explain_missing_column(column, names, advice)
        raise DataError(f"{file}: {problem}") from None


def _is_missing(value: Any) -> bool:
    """Return whether a cell has no value: it is null, NaN or blank."""
    return is_missing(value) or not str(value).strip()


def _require_label(row: Row, column: str, file: str, number: int) -> str:
    """Return the label of a row as text.

    Raises:
        DataError: it has no label.
    """
    try:
        label = as_label(find_cell(row, column))
    except KeyError:
        label = ""
    except DataError as error:
        raise DataError(f"{file}: row {number}: column {column!r}: {error}") from None
    if not label:
        raise DataError(
            f"{file}: the model was trained with labels, and row {number} has no {column!r}: "
            "give a table with that column, or one --label for all texts."
        )
    return label
