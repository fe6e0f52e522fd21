"""What Parquet and Arrow files have in common: typed columns, and rows without lines."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import IO, ClassVar

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value


class ColumnarReader(ABC):
    """Reads a file of typed columns, one batch of rows at a time."""

    encoding = "utf-8"
    has_lines = False
    format: ClassVar[str]  # its name, for messages

    def __init__(self, stream: IO[bytes]) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self.notes: list[str] = []
        self._stream = stream

    def records(self) -> Iterator[Row]:
        """Yield the rows; they need no parsing.

        Raises:
            FormatError: two columns have the same name, or the file is damaged.
        """
        from pyarrow import ArrowException  # slow to import, and most files are text

        try:
            yield from self._iterate_rows()
        except (OSError, ArrowException) as error:
            raise FormatError(f"cannot be read as {self.format}: {error}") from error

    def row(self, record: Row) -> Row:
        """Return the record, which already is a row."""
        return record

    @abstractmethod
    def _iterate_rows(self) -> Iterator[Row]:
        """Yield the rows; an error of pyarrow means that the file is damaged.

        Raises:
            FormatError: two columns have the same name.
        """


def refuse_repeated_names(names: Sequence[str]) -> None:
    """Refuse columns of the same name: a dict per row would silently drop one of the two.

    Raises:
        FormatError: the message has the name.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FormatError(
                f"has two columns called {format_value(name)}; rename one of the two."
            )
        seen.add(name)
