"""What the readers of all formats share: rows, the contract of a reader, and its error."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from textvae.data.row_report import RowNumbers, shorten_list
from textvae.errors import did_you_mean

Row = dict[str, Any]

# What one text of a text file is: a line, the lines between blank ones, or the whole file.
TextUnit = Literal["line", "paragraph", "file"]

# Whether quotes delimit cells. `auto`: they do in .csv files and do not in .tsv files.
Quoting = Literal["auto", "quoted", "none"]

_MAX_SHOWN_CHARACTERS = 60  # of a value in a message

_MAX_LISTED_COLUMNS = 30  # in a message


class FormatError(ValueError):
    """Part of a file cannot be read; the caller adds the file and the line to the message."""


class LayoutError(FormatError):
    """A file is not damaged, but has to be read in another way; the message says what to set."""


class RowReader(Protocol):
    """Reads one open file, in two steps: `records` finds the records, `row` parses one.

    A caller that resumes in the middle of a file can therefore skip records without
    parsing them.

    Attributes:
        line: the line of the last record, counted from 1; 0 for formats without lines.
        blank_lines: those between rows; like other readers of tables, we do not count them as rows.
        encoding: the encoding of the file; what a reader gets is UTF-8 always.
        has_lines: whether the format has lines.
    """

    encoding: str
    has_lines: bool

    @property
    def line(self) -> int:
        """The line of the last record."""
        ...

    @property
    def blank_lines(self) -> RowNumbers:
        """The blank lines between rows."""
        ...

    @property
    def notes(self) -> list[str]:
        """What a user should know about how the file was read; complete after the last record."""
        ...

    def records(self) -> Iterator[Any]:
        """Yield the records of the file, which `row` parses.

        Raises:
            FormatError: the rest of the file cannot be read.
        """
        ...

    def row(self, record: Any) -> Row:
        """Parse a record and return its row.

        Raises:
            ValueError: this record cannot be parsed; later ones may still be.
        """
        ...


class WrappedReader:
    """What a reader that changes the rows of another one passes on unchanged.

    Args:
        reader: reads the file.
    """

    def __init__(self, reader: RowReader) -> None:
        self.encoding = reader.encoding
        self.has_lines = reader.has_lines
        self._reader = reader

    @property
    def line(self) -> int:
        """The line of the last record."""
        return self._reader.line

    @property
    def blank_lines(self) -> RowNumbers:
        """The blank lines between rows."""
        return self._reader.blank_lines

    @property
    def notes(self) -> list[str]:
        """The notes of the other reader."""
        return self._reader.notes

    def records(self) -> Iterator[Any]:
        """Yield the records of the other reader."""
        return self._reader.records()


def format_value(value: object) -> str:
    """Return a value as a message shows it, shortened if it is long."""
    shown = repr(value)
    if len(shown) <= _MAX_SHOWN_CHARACTERS:
        return shown
    return f"{shown[: _MAX_SHOWN_CHARACTERS - 3]}..."


def list_columns(names: Sequence[str]) -> str:
    """Return the names of columns as a message lists them; a table may have thousands."""
    return shorten_list(names, _MAX_LISTED_COLUMNS)


def explain_missing_column(name: str, names: Sequence[str], advice: str) -> str:
    """Return that a table lacks a column, which columns it has, and what to do.

    Args:
        name: the column that is missing.
        names: the columns that exist.
        advice: a sentence that says how to name another one.
    """
    hint = did_you_mean(name, names).strip().replace("did", " Did", 1)
    return f"there is no column {name!r}; the columns are {list_columns(names)}. {advice}{hint}"
