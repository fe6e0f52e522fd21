"""What the readers of all formats share: rows, the contract of a reader, and its error."""

from collections.abc import Iterator
from typing import Any, Literal, Protocol

from textvae.data.row_report import RowNumbers

Row = dict[str, Any]

Quoting = Literal["auto", "quoted", "none"]

_MAX_SHOWN_CHARACTERS = 60  # of a value in a message


class FormatError(ValueError):
    """Part of a file cannot be read; the message names neither the file nor the line."""


class RowReader(Protocol):
    """Reads one open file.

    Reading is split into two steps because records are cheap to skip: only
    `row` parses one.

    Attributes:
        line: the line of the last record, counted from 1; 0 for formats without lines.
        gaps: blank lines between rows; like other table readers, we do not count them as rows.
    """

    line: int
    gaps: RowNumbers

    def records(self) -> Iterator[Any]:
        """Yield the records, which `row` turns into rows.

        Raises:
            FormatError: the rest of the file cannot be read.
        """
        ...

    def row(self, record: Any) -> Row:
        """Return the row of a record.

        Raises:
            ValueError: this record cannot be read; the next one may be readable.
        """
        ...


def format_value(value: object) -> str:
    """Return a value as a message shows it, shortened if it is long."""
    shown = repr(value)
    if len(shown) <= _MAX_SHOWN_CHARACTERS:
        return shown
    return f"{shown[: _MAX_SHOWN_CHARACTERS - 3]}..."
