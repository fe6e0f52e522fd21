"""What the readers of all formats share: rows, the contract of a reader, and its error."""

from collections.abc import Iterator
from typing import Any, Literal, Protocol

from textvae.data.row_report import RowNumbers

Row = dict[str, Any]

# Whether quotes delimit cells. `auto`: they do in .csv files and do not in .tsv files.
Quoting = Literal["auto", "quoted", "none"]

_MAX_SHOWN_CHARACTERS = 60  # of a value in a message


class FormatError(ValueError):
    """Part of a file cannot be read; the caller adds the file and the line to the message."""


class RowReader(Protocol):
    """Reads one open file, in two steps: `records` finds the records, `row` parses one.

    A caller that resumes in the middle of a file can therefore skip records without
    parsing them.

    Attributes:
        line: the line of the last record, counted from 1; 0 for formats without lines.
        blank_lines: those between rows; like other readers of tables, we do not count them as rows.
    """

    line: int
    blank_lines: RowNumbers

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


def format_value(value: object) -> str:
    """Return a value as a message shows it, shortened if it is long."""
    shown = repr(value)
    if len(shown) <= _MAX_SHOWN_CHARACTERS:
        return shown
    return f"{shown[: _MAX_SHOWN_CHARACTERS - 3]}..."
