"""Text files, one sentence per line; and how all text formats split bytes into lines."""

import json
import re
from collections.abc import Iterator
from typing import IO

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, LayoutError, Row

BYTES_PER_READ = 2**18  # size of a block

MAX_LINE_LENGTH = 2**26  # bytes of a line, or characters of a cell; no text is longer

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

NUL_MESSAGE = "holds a NUL byte"

# Separators of tables, with the words for them that shells and YAML do not change.
SEPARATOR_WORDS = {"\t": "tab", ";": "semicolon", "|": "pipe", ",": "comma"}

_COLUMN_NAME = re.compile(r"[^\s,;|]{1,40}")  # what a column of a table may well be called


class LineReader:
    """Reads a text file with one sentence per line.

    Args:
        stream: the bytes of the file, as UTF-8.
        text_column: the name of the column that the lines become.
        is_checked: whether to refuse a file whose first line shows that it is a table.
    """

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], text_column: str, *, is_checked: bool = False) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self._stream = stream
        self._text_column = text_column
        self._is_checked = is_checked

    def records(self) -> Iterator[bytes]:
        """Yield the lines, blank ones included.

        Raises:
            LayoutError: the file is a table.
        """
        for raw in split_lines(read_blocks(self._stream)):
            self.line += 1
            if self.line == 1 and self._is_checked:
                self._refuse_table(raw.decode("utf-8", "replace").strip())
            yield raw

    def row(self, record: bytes) -> Row:
        """Return a line as a row with one column."""
        return {self._text_column: decode_line(record).removesuffix("\r")}

    def _refuse_table(self, line: str) -> None:
        """Refuse a table: its first line would become a sentence, and each row another one.

        Raises:
            LayoutError: the first line names the column of the texts, or is a JSON object.
        """
        advice = "If each line is a sentence all the same, set data.format=txt (--format txt)."
        if line.startswith("{") and _is_json_object(line):
            raise LayoutError(
                "looks like a file of JSON objects, and its name does not end in .jsonl. "
                f"Set data.format=jsonl (--format jsonl). {advice}"
            )
        for separator, word in SEPARATOR_WORDS.items():
            names = [name.strip().strip('"') for name in line.split(separator)]
            if len(names) == 1 or self._text_column not in names:
                continue
            if all(_COLUMN_NAME.fullmatch(name) or not name for name in names):
                raise LayoutError(
                    f"looks like a table: its first line names the column {self._text_column!r}. "
                    f"Set data.separator={word} (--separator {word}). {advice}"
                )


def read_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, one block at a time."""
    return iter(lambda: stream.read(BYTES_PER_READ), b"")


def split_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines without their line feeds and without a byte order mark.

    Only a line feed ends a line. `str.splitlines` would also split at the other
    separators of Unicode, which occur inside sentences.

    Raises:
        FormatError: a line is longer than `MAX_LINE_LENGTH`, or lines end with carriage returns
            alone.
    """
    pieces: list[bytes] = []  # of a line whose end has not been read yet
    is_first_block = True
    has_line_feeds = False
    for block in blocks:
        if is_first_block:
            block = block.removeprefix(BYTE_ORDER_MARK)
            is_first_block = False
        pieces.append(block)
        if b"\n" in block:
            *complete, last = b"".join(pieces).split(b"\n")
            pieces = [last]
            has_line_feeds = True
            yield from complete
        elif sum(map(len, pieces)) > MAX_LINE_LENGTH:
            # A small gzip file may unpack to gigabytes without a line feed.
            raise FormatError(
                f"a line has over {MAX_LINE_LENGTH / 2**20:.0f} MiB; "
                "expected text, one sentence per line."
            )
    last = b"".join(pieces)
    if not has_line_feeds and b"\r" in last.strip(b"\r"):
        raise FormatError("its lines end with carriage returns alone; convert it (tr '\\r' '\\n').")
    if last:
        yield last


def _is_json_object(line: str) -> bool:
    """Return whether a line is a JSON object that is not empty."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)


def decode_line(raw: bytes) -> str:
    """Return a line as text.

    Raises:
        UnicodeDecodeError: the line is not UTF-8; like `FormatError`, this is a `ValueError`.
        FormatError: the line holds a NUL byte.
    """
    if b"\0" in raw:  # valid UTF-8, but a sign of UTF-16 or of a file that is not text
        raise FormatError(NUL_MESSAGE)
    return raw.decode()
