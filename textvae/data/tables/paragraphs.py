"""Text files whose texts span several lines: paragraphs, or each file as one text."""

from collections.abc import Iterator
from typing import IO

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import Row, TextUnit
from textvae.data.tables.text_lines import Pieces, TextLines


class ParagraphReader:
    """Reads a text file whose texts are separated by blank lines, or the whole file as one text.

    The lines of a text stay separated by line feeds; cleaning folds these to blanks
    unless the settings say that white space is kept.
    """

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], text_column: str, unit: TextUnit) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")  # they separate texts, and are no news
        self.notes: list[str] = []
        self._lines = TextLines(stream)
        self._text_column = text_column
        self._is_whole_file = unit == "file"

    def records(self) -> Iterator[str]:
        """Yield the texts.

        Raises:
            FormatError: a text is too long.
        """
        pieces = Pieces("a text", "separate its texts by blank lines, and use data.unit=paragraph")
        start = 0
        for line in self._iterate_lines():
            is_end = not self._is_whole_file and not line.strip()
            if not is_end:
                if not pieces.lines:
                    start = self._lines.number
                pieces.add(line)
            elif pieces.lines:
                self.line = start
                yield "\n".join(pieces.take())
        if pieces.lines:
            self.line = start
            yield "\n".join(pieces.take())
        else:
            self.line = self._lines.number

    def row(self, record: str) -> Row:
        """Return a text as a row with one column."""
        return {self._text_column: record}

    def _iterate_lines(self) -> Iterator[str]:
        """Yield the lines; if one of them is damaged, its number is that of the reader."""
        try:
            yield from self._lines
        except ValueError:
            self.line = self._lines.number
            raise
