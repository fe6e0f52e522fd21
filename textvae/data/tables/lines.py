"""Text files, one sentence per line; and how all text formats split bytes into lines."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import IO

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, LayoutError, Row
from textvae.data.tables.line_hints import describe_lines

BYTES_PER_READ = 2**18  # size of a block

MAX_LINE_LENGTH = 2**26  # bytes of a line, or characters of a cell; no text is longer

# How much of a file is read ahead: that many lines, or lines of that many bytes.
_PROBED_LINES = 50
_PROBED_BYTES = 2**18

_MIN_ROWS = 5  # with as many tabs each, that make a table of a text file

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# The first lines of a file, and the first bytes of each, from which a hint about its format is
# derived.
_HINT_LINES = 500
_HINT_BYTES = 2_000

NUL_MESSAGE = "holds a NUL byte"

# Separators of tables, with the words for them that shells and YAML do not change.
SEPARATOR_WORDS = {"\t": "tab", ";": "semicolon", "|": "pipe", ",": "comma"}

_COLUMN_NAME = re.compile(r"[^\s,;|]{1,40}")  # what a column of a table may well be called


class LineReader:
    """Reads a text file with one sentence per line.

    Args:
        stream: the bytes of the file, as UTF-8.
        text_column: the name of the column that the lines become.
        table_columns: columns of texts, if a file that looks like a table is to be refused.
    """

    encoding = "utf-8"
    has_lines = True

    def __init__(
        self, stream: IO[bytes], text_column: str, table_columns: Sequence[str] = ()
    ) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self._stream = stream
        self._text_column = text_column
        self._table_columns = table_columns
        self._first_lines: list[bytes] = []

    @property
    def notes(self) -> list[str]:
        """What the first lines look like, if they are probably not sentences."""
        hint = describe_lines([line.decode("utf-8", "replace") for line in self._first_lines])
        return [] if hint is None else [hint]

    def records(self) -> Iterator[bytes]:
        """Yield the lines, blank ones included.

        Raises:
            LayoutError: the file is a table.
        """
        lines = split_lines(read_blocks(self._stream))
        if self._table_columns:
            first_lines, lines = read_ahead(lines)
            self.line = 1
            _refuse_table(first_lines, self._table_columns)
            self.line = 0
        for raw in lines:
            self.line += 1
            if self.line <= _HINT_LINES:
                self._first_lines.append(raw[:_HINT_BYTES])
            yield raw

    def row(self, record: bytes) -> Row:
        """Return a line as a row with one column."""
        return {self._text_column: decode_line(record).removesuffix("\r")}


def _refuse_table(lines: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a table: its names would become a sentence, and its labels part of the sentences.

    Args:
        lines: the first lines of the file.
        columns: the columns of texts.

    Raises:
        LayoutError: the first line names these columns or is a JSON object, or all lines have
            as many tabs.
    """
    advice = "If each line is a sentence all the same, set data.format=txt (--format txt)."
    first = lines[0].strip() if lines else ""
    if first.startswith("{") and _is_json_object(first):
        raise LayoutError(
            "looks like a file of JSON objects, and its name does not end in .jsonl. "
            f"Set data.format=jsonl (--format jsonl). {advice}"
        )
    for separator, word in SEPARATOR_WORDS.items():
        names = [name.strip().strip('"') for name in first.split(separator)]
        if len(names) == 1 or not set(columns) <= set(names):
            continue
        if all(_COLUMN_NAME.fullmatch(name) or not name for name in names):
            raise LayoutError(
                f"looks like a table: its first line names the column {columns[0]!r}. "
                f"Set data.separator={word} (--separator {word}). {advice}"
            )
    rows = [line for line in lines if line.strip()]
    tabs = {line.count("\t") for line in rows}
    if len(rows) >= _MIN_ROWS and len(tabs) == 1 and tabs != {0}:
        raise LayoutError(
            f"looks like a table: each of its first lines has {tabs.pop() + 1} cells, separated by "
            "tabs. Set data.separator=tab (--separator tab), and data.header=false and the number "
            f"of the column of texts, such as data.text_column=2, if it has no names. {advice}"
        )


def read_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, one block at a time."""
    return iter(lambda: stream.read(BYTES_PER_READ), b"")


def read_ahead(lines: Iterator[bytes]) -> tuple[list[str], Iterator[bytes]]:
    """Return the first lines as text, and an iterator over all lines.

    The last line read may be the first half of a row, so it is left out unless it is the
    last one of the file. An error is raised where it occurs among the lines, and not before.
    """
    read: list[bytes] = []
    error: Exception | None = None
    is_complete = False
    while len(read) < _PROBED_LINES and sum(map(len, read)) <= _PROBED_BYTES:
        try:
            read.append(next(lines))
        except StopIteration:
            is_complete = True
            break
        except Exception as damage:  # each library raises errors of its own
            error = damage
            break
    probed = read if is_complete or len(read) == 1 else read[:-1]
    first_lines = [line.decode("utf-8", "replace").removesuffix("\r") for line in probed]

    def iterate_lines() -> Iterator[bytes]:
        yield from read
        if error is not None:
            raise error
        yield from lines

    return first_lines, iterate_lines()


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
    line_feeds = inner_returns = 0
    for block in blocks:
        if is_first_block:
            block = block.removeprefix(BYTE_ORDER_MARK)
            is_first_block = False
        inner_returns += block.count(b"\r") - block.count(b"\r\n")
        if block.startswith(b"\n") and pieces and pieces[-1].endswith(b"\r"):
            inner_returns -= 1  # of a line's end that is in two blocks
        pieces.append(block)
        if b"\n" in block:
            line_feeds += block.count(b"\n")
            _check_returns(inner_returns, line_feeds)
            *complete, last = b"".join(pieces).split(b"\n")
            pieces = [last]
            yield from complete
        elif sum(map(len, pieces)) > MAX_LINE_LENGTH:
            # A small gzip file may unpack to gigabytes without a line feed.
            raise FormatError(
                f"a line has over {MAX_LINE_LENGTH / 2**20:.0f} MiB; "
                "expected text, one sentence per line."
            )
    last = b"".join(pieces)
    _check_returns(inner_returns - len(last) + len(last.rstrip(b"\r")), line_feeds)
    if last:
        yield last


def _check_returns(inner: int, line_feeds: int) -> None:
    """Refuse lines that end with carriage returns alone, also if a line feed follows the last one.

    A file with more line feeds may have carriage returns in its lines, as a log of progress bars has.

    Raises:
        FormatError: there is one line feed at most, and more carriage returns.
    """
    if line_feeds <= 1 and inner > line_feeds:
        raise FormatError("its lines end with carriage returns alone; convert it (tr '\\r' '\\n').")


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
