"""Tables with delimited cells: .csv and .tsv files, and what quotes mean in them.

Quotes are the trap of these formats. By default they delimit cells in a .csv file
and are ordinary characters in a .tsv file. If a file does not look like that, the
reader refuses it and names the setting that decides.
"""

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any, NamedTuple

from textvae.data.row_report import RowNumbers, format_count
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.layout import (
    check_repeated_names,
    find_separator,
    name_columns,
    read_separator_line,
)
from textvae.data.tables.lines import (
    MAX_LINE_LENGTH,
    SEPARATOR_WORDS,
    decode_line,
    read_ahead,
    read_blocks,
    split_lines,
)
from textvae.data.tables.settings import TableSettings
from textvae.data.tables.values import as_number, is_amount

# If the first rows have only numbers in the text column, it counts as a column of numbers.
_PROBED_ROWS = 100

_QUOTED_CELL = re.compile('"(?:[^"]|"")*"')  # as programs write it, with inner quotes doubled

_QUOTED_AFTER_SPACE = re.compile(r'\s+"(?:[^"]|"")*("\s*)?', re.DOTALL)  # or the first part of one

# How to fix a file, for messages.
_SET_NONE = "If quotes are characters of the texts, set data.quoting=none (--quoting none)"
_SET_EITHER = (
    "If quotes delimit the cells of this file, set data.quoting=quoted (--quoting quoted); "
    "if they are characters of the texts, set data.quoting=none (--quoting none)."
)
_DOUBLE_THE_QUOTES = "otherwise put the text into double quotes and double each quote inside it."


class _Record(NamedTuple):
    """The cells of one row, before they are checked."""

    line: int  # where the record begins
    cells: list[Any]  # strings; numbers in a text column of numbers
    error: ValueError | None  # what is wrong with the bytes of one of its lines


class DelimitedReader:
    """Reads a .csv or .tsv file, whose first line names the columns unless the settings say no.

    Args:
        stream: the bytes of the file, as UTF-8.
        suffix: .csv or .tsv, which tells the separator and the meaning of quotes.
        settings: what is known about the file.
    """

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], suffix: str, settings: TableSettings) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self.notes: list[str] = []
        self._settings = settings
        self._quoting = settings.quoting
        is_csv = suffix == ".csv"
        self._quotes_delimit = self._quoting == "quoted" or (self._quoting == "auto" and is_csv)
        self._default_separator = "," if is_csv else "\t"
        self._separator = self._default_separator
        self._raw_lines = split_lines(read_blocks(stream))
        self._columns: list[str] = []
        self._has_names = settings.header is not False
        self._aliases: dict[str, int] = {}  # columns that have a further name, with their index
        self._cell_count = 0  # of each row
        self._lines_read = 0
        self._pending: list[str] = []  # the lines of the record that the csv module is reading
        self._error: ValueError | None = None  # what is wrong with one of these lines
        self._previous: list[str] = []  # the cells of the previous record

    def records(self) -> Iterator[_Record]:
        """Yield the records, without the first one if that names the columns.

        Raises:
            FormatError: the columns cannot be found, or the rest of the file cannot be read.
        """
        first_lines, self._raw_lines = read_ahead(self._raw_lines)
        told = read_separator_line(first_lines[0]) if first_lines else None
        if told in (self._settings.separator, *SEPARATOR_WORDS):
            next(self._raw_lines)
            self._lines_read = 1
            del first_lines[0]
        self.line = 1
        default = told or self._default_separator
        self._separator = find_separator(first_lines, default, self._quotes_delimit, self._settings)
        self.line = 0
        records = self._read_records()
        head = next(records, None)
        if head is None:
            return
        self.line = head.line
        if head.error is not None:
            raise head.error
        self._set_columns(head)
        if not self._has_names:
            records = chain([head], records)
        yield from self._check_first_rows(records)
        yield from records

    def row(self, record: _Record) -> Row:
        """Return the row of a record, each cell exactly as it is written."""
        self.line = record.line
        if record.error is not None:
            raise record.error
        if self._quoting == "auto" and self._quotes_delimit:
            _refuse_space_before_quotes(record.cells)
        if len(record.cells) != self._cell_count or any(record.cells[len(self._columns) :]):
            raise FormatError(self._explain_cell_count(len(record.cells)))
        if any(self._is_quoted_by_program(cell) for cell in record.cells):
            raise FormatError(
                "has a cell in quotes with doubled quotes in it, as programs write quoted cells. "
                f"{_SET_EITHER}"
            )
        # Not strict: every row may end with the same number of separators too many.
        row = dict(zip(self._columns, record.cells, strict=False))
        for name, index in self._aliases.items():
            row[name] = record.cells[index]
        return row

    def _set_columns(self, head: _Record) -> None:
        """Name the columns after the first record, or number them.

        Raises:
            FormatError: the column of the texts is missing, a name occurs twice, or names are in
                quotes and the settings do not say how to read these.
        """
        if self._are_quotes_unexpected([cell.strip() for cell in head.cells]):
            raise FormatError(f"names its columns in quotes. {_SET_EITHER}")
        self._columns, self._aliases = name_columns(head.cells, self._settings)
        self._cell_count = len(self._columns)
        if self._has_names:
            check_repeated_names(self._columns)

    def _check_first_rows(self, records: Iterator[_Record]) -> list[_Record]:
        """Return the first records, after finding out what they show of all rows.

        They show how many cells a row has, and whether the texts are numbers. If no text
        of them is anything else, all cells become numbers, which every caller that expects
        text refuses: the user most likely named the wrong column.
        """
        first = next(records, None)
        if first is None:
            return []
        self._cell_count = self._count_cells(first)
        if self._settings.join_columns:
            return [first]
        return self._probe_numbers(chain([first], records))

    def _count_cells(self, first: _Record) -> int:
        """Return how many cells each row has.

        Some programs end each row with a separator, but not the line of names, or the
        other way round. The additional cell is empty, so nothing is lost.
        """
        count = len(self._columns)
        has_blank_cells = not any(first.cells[count:])
        has_blank_names = self._has_names and not any(self._columns[len(first.cells) :])
        if has_blank_cells and has_blank_names:
            return len(first.cells)
        return count

    def _probe_numbers(self, records: Iterator[_Record]) -> list[_Record]:
        """Return the first records, up to the first one whose text is not a number."""
        probed: list[_Record] = []
        name = self._settings.text_column
        text_index = self._aliases.get(name, -1)
        if text_index < 0:
            text_index = self._columns.index(name)
        for record in islice(records, _PROBED_ROWS):
            probed.append(record)
            if text_index >= len(record.cells):  # `row` will refuse this record
                return probed
            cell = record.cells[text_index]
            if cell.strip() and not is_amount(cell):
                return probed
        for record in probed:
            record.cells[text_index] = as_number(record.cells[text_index])
        return probed

    def _are_quotes_unexpected(self, cells: list[str]) -> bool:
        """Return whether all cells are in quotes, although by default quotes do not delimit here."""
        if self._quoting != "auto" or self._quotes_delimit:
            return False
        return all(_QUOTED_CELL.fullmatch(cell) for cell in cells)

    def _is_quoted_by_program(self, cell: object) -> bool:
        """Return whether a cell is quoted as programs do it, although quotes do not delimit here.

        Programs double the quotes inside a quoted cell, which hardly anybody does by hand.
        """
        if not isinstance(cell, str) or '""' not in cell:
            return False
        return self._are_quotes_unexpected([cell])

    def _read_records(self) -> Iterator[_Record]:
        """Yield all records, including the names of the columns.

        In a table with one column, a blank line is a row whose text is blank. In a
        table with more columns it is not a row.
        """
        rows = self._parse_quoted() if self._quotes_delimit else self._split_plain()
        for cells in rows:
            if len(self._columns) == 1 or len(cells) > 1 or "".join(cells).strip():
                yield _Record(self.line, cells or [""], self._error)
            elif self._columns:  # blank lines before the names of the columns are ignored
                self.blank_lines.add(self.line)
            self._error = None

    def _split_plain(self) -> Iterator[list[str]]:
        """Yield the cells of each line, in which a quote is a character like any other."""
        for line in self._decode_lines():
            self.line = self._lines_read
            yield line.removesuffix("\r\n").removesuffix("\n").split(self._separator)

    def _parse_quoted(self) -> Iterator[list[str]]:
        """Yield the cells of each record, which spans several lines if a quoted cell does."""
        # The csv module has one limit for the whole process. By default it is 128 KiB, which a
        # long text exceeds.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_LENGTH))
        reader = csv.reader(self._decode_lines(), delimiter=self._separator, strict=True)
        while True:
            self._pending = []
            start = self._lines_read + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.line = start
                raise FormatError(_explain_csv_error(str(error))) from None
            self.line = start
            # With `quoted`, the user has said that cells may span several lines.
            if len(self._pending) > 1 and self._quoting != "quoted":
                self._check_span(len(self._columns or cells))
            self._previous = cells
            yield cells

    def _check_span(self, columns: int) -> None:
        """Refuse a cell that spans several lines which look like rows.

        Its quotes are most likely part of the texts: two stray quotes, hundreds of lines
        apart, would otherwise swallow all rows between them. A separator that
        is followed by a space counts as prose, unless the previous record has such spaces too.

        Args:
            columns: the number of cells of a row.
        """
        lines = [line for line in self._pending if line.strip()]
        has_spaced_cells = any(cell.startswith(" ") for cell in self._previous[1:])
        separator = self._separator
        if not has_spaced_cells:
            separator += "(?! )"
        row_like = sum(len(re.split(separator, line)) == columns for line in lines)
        if 2 * row_like > len(lines):
            raise FormatError(
                f"a quoted cell begins here and spans {len(self._pending)} lines, "
                "most of which look like rows. "
                f"{_SET_NONE}; if it is one cell, set data.quoting=quoted (--quoting quoted)."
            )

    def _decode_lines(self) -> Iterator[str]:
        """Yield the lines as text, with line feeds; remember what is wrong with a damaged one.

        A damaged line is decoded as far as possible, so that the csv module still finds
        the end of its record, and only this record has to be skipped.
        """
        for raw in self._raw_lines:
            self._lines_read += 1
            try:
                line = decode_line(raw)
            except ValueError as error:
                self._error = error
                line = raw.decode("utf-8", "replace").replace("\0", "?")
            if self._quotes_delimit:
                self._pending.append(line)
            yield f"{line}\n"

    def _explain_cell_count(self, count: int) -> str:
        """Return what is wrong with a record of too many or too few cells, and how to fix it."""
        columns = format_count(len(self._columns), "column")
        problem = f"has {format_count(count, 'field')}, and the first line names {columns}."
        if not self._has_names or self._cell_count != len(self._columns):
            problem = (
                f"has {format_count(count, 'field')}, and the first row has {self._cell_count}."
            )
        if count < self._cell_count:
            return (
                f"{problem} Add the missing fields, which may be empty; "
                "a text with a line break needs double quotes."
            )
        if self._quotes_delimit:
            return f"{problem} Put a text that holds {self._separator!r} into double quotes."
        return (
            f"{problem} If quotes delimit the cells of this file, "
            "set data.quoting=quoted (--quoting quoted)."
        )


def _explain_csv_error(error: str) -> str:
    """Return the error of the csv module in words that say how to fix it."""
    if "new-line character" in error:
        return (
            "a cell holds a carriage return outside quotes. "
            "Remove it, or put the cell into double quotes."
        )
    if "end of data" in error or "field limit" in error:
        return f"a quoted cell begins here and does not end. {_SET_NONE}; {_DOUBLE_THE_QUOTES}"
    if "expected after" in error:
        return (
            "a quote ends a cell that begins on this line, and more text follows. "
            f"{_SET_NONE}; {_DOUBLE_THE_QUOTES}"
        )
    return f"cannot be read as a table: {error}."


def _refuse_space_before_quotes(cells: list[Any]) -> None:
    """Refuse a quoted cell after a space, whose quotes would become part of the text.

    Raises:
        FormatError: there is such a cell.
    """
    for cell in cells:
        if isinstance(cell, str) and _QUOTED_AFTER_SPACE.fullmatch(cell):
            raise FormatError(
                f"has a space before the quotes in {format_value(cell)}, so that they do not "
                "delimit the cell: remove the spaces after the separators. If these quotes belong "
                "to the text, set data.quoting=quoted (--quoting quoted)."
            )
