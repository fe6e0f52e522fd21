"""Lines of a text file, decoded and numbered, for the formats whose records span several lines."""

from collections.abc import Iterator
from typing import IO

from textvae.data.tables.base import FormatError
from textvae.data.tables.lines import MAX_LINE_LENGTH, decode_line, read_blocks, split_lines


class TextLines:
    """The lines of an open file as text, without their ends.

    Attributes:
        number: the number of the line that was read last, counted from 1.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.number = 0
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        """Yield the lines.

        Raises:
            ValueError: a line is not UTF-8, or holds a NUL byte.
        """
        for raw in split_lines(read_blocks(self._stream)):
            self.number += 1
            yield decode_line(raw).removesuffix("\r")


class Pieces:
    """Collects the lines of one text, and refuses a text that is too long to be one.

    Args:
        what: what the text is, for the message.
        fix: how to fix a text that is too long.
    """

    def __init__(self, what: str, fix: str) -> None:
        self.lines: list[str] = []
        self._size = 0
        self._what = what
        self._fix = fix

    def add(self, line: str) -> None:
        """Add a line.

        Raises:
            FormatError: the text has become too long.
        """
        self._size += len(line)
        if self._size > MAX_LINE_LENGTH:
            raise FormatError(
                f"{self._what} has over {MAX_LINE_LENGTH / 2**20:.0f} Mi characters; {self._fix}."
            )
        self.lines.append(line)

    def take(self) -> list[str]:
        """Return the lines, and start a new text."""
        lines = self.lines
        self.lines = []
        self._size = 0
        return lines
