"""JSON files: one object per line (.jsonl and .json); or a list of objects, or a document (.json).

A list is parsed one object at a time, so the file need not fit into memory; a document
must. Where an object is expected, a string counts as an object with only a text.
"""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.json_documents import find_document_rows
from textvae.data.tables.lines import (
    BYTE_ORDER_MARK,
    BYTES_PER_READ,
    MAX_LINE_LENGTH,
    read_blocks,
    split_lines,
)
from textvae.data.tables.values import SpelledNumber

_MAX_DOCUMENT_BYTES = 2**29  # a document is read as a whole

_WHITE_SPACE = re.compile(r"[ \t\r\n]*")

# JSON's escape for the first or the second half of a surrogate pair.
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_HALF_SURROGATE = re.compile("[\ud800-\udfff]")  # what is left of a pair that is not complete


class JsonReader:
    """Reads JSON: one object per line or, where it is allowed, a list of objects."""

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], text_column: str, is_list_allowed: bool) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self.notes: list[str] = []
        self._stream = stream
        self._text_column = text_column
        self._holds_texts = False  # whether the first record is a text instead of an object
        self._is_list_allowed = is_list_allowed
        # None for each key of the first object. Some programs leave nulls out, so a later
        # object that lacks one of these keys has None there.
        self._defaults: Row | None = None

    def records(self) -> Iterator[bytes | Row]:
        """Yield the lines of the file that are not blank, or the objects of its list."""
        blocks = read_blocks(self._stream)
        first = next(blocks, b"")
        blocks = chain([first], blocks)
        beginning = first.removeprefix(BYTE_ORDER_MARK).lstrip()
        if self._is_list_allowed and beginning.startswith(b"["):
            yield from self._read_list(_ListParser(blocks, self._text_column))
            return
        if self._is_list_allowed and _begins_document(beginning):
            yield from self._read_document(blocks)
            return
        for raw in split_lines(blocks):
            self.line += 1
            if not raw.strip():
                self.blank_lines.add(self.line)
                continue
            if self._defaults is None:  # the first object is parsed here, and again by `row`
                self._holds_texts = raw.lstrip().startswith(b'"')
                self._find_defaults(raw)
            yield raw

    def row(self, record: bytes | Row) -> Row:
        """Return the row of a record, with None for keys of the first object that it lacks."""
        if isinstance(record, bytes):
            if record.lstrip().startswith(b'"') != self._holds_texts:
                raise FormatError("expected an object in each line, or a text in each line.")
            row = _parse_line(record, self._text_column)
        else:
            row = record
        if self._defaults is not None and not self._defaults.keys() <= row.keys():
            return {**self._defaults, **row}
        return row

    def _find_defaults(self, raw: bytes) -> None:
        """Remember the keys of the first object; if it is broken, `row` will report that."""
        try:
            self._defaults = dict.fromkeys(_parse_line(raw, self._text_column))
        except ValueError:
            self._defaults = {}

    def _read_list(self, parser: "_ListParser") -> Iterator[Row]:
        """Yield the objects of a list, each as soon as it has been read completely."""
        self.line = 1
        try:
            for row in parser.parse_objects():
                if self._defaults is None:
                    self._defaults = dict.fromkeys(row)
                yield row
        except (FormatError, UnicodeDecodeError):
            self.line = parser.line
            raise

    def _read_document(self, blocks: Iterator[bytes]) -> Iterator[Row]:
        """Yield the rows of a document, or of several objects one after another.

        Raises:
            FormatError: the file is no JSON, or too large to be read as a whole.
            UnicodeDecodeError: a line is not UTF-8.
        """
        self.line = 1
        try:
            text = _read_text(blocks)
        except UnicodeDecodeError as error:
            feeds, line_error = _find_line(error)
            self.line += feeds
            raise line_error from None
        objects: list[Any] = []
        position = 0
        while position < len(text):
            try:
                value, end = _DECODER.raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                self.line = text.count("\n", 0, getattr(error, "pos", position)) + 1
                raise FormatError(_explain_document_error(error)) from None
            objects.append(value)
            position = _skip_white_space(text, end)
        rows = objects
        if len(objects) == 1 and isinstance(objects[0], dict):
            if isinstance(objects[0], _RepeatedKeys):
                raise FormatError("names a key twice; keep one of the two.")
            rows, note = find_document_rows(objects[0], self._text_column)
            self.notes += [note] if note else []
        signs = _find_rare_signs(text)
        for value in rows:
            row = _check_row(value, signs, self._text_column)
            if self._defaults is None:
                self._defaults = dict.fromkeys(row)
            yield row


class _ListParser:
    """Parses a list of JSON objects from blocks of bytes, reading only as far as needed."""

    def __init__(self, blocks: Iterator[bytes], text_column: str) -> None:
        self._blocks = blocks
        self._text_column = text_column
        # How an item may begin; once the first is read, how that one began.
        self._openings: tuple[str, ...] = ("{", '"')
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""  # the part of the file that has been read and is still needed
        self._position = 0  # index in the text of the next character to parse
        self._earlier_lines = 0  # line feeds before the text
        self._is_at_end = False  # whether all blocks have been read
        self._undecodable_line: int | None = None

    @property
    def line(self) -> int:
        """The line of the current position, or that which is not UTF-8, counted from 1."""
        if self._undecodable_line is not None:
            return self._undecodable_line
        return self._earlier_lines + self._text.count("\n", 0, self._position) + 1

    def parse_objects(self) -> Iterator[Row]:
        """Yield the objects of the list.

        Raises:
            FormatError: the list is broken, or holds something that is not an object.
        """
        opening = self._peek()
        assert opening == "["
        self._position += 1
        is_first = True
        while (character := self._peek()) != "]":
            if not is_first:
                if character != ",":
                    raise FormatError(
                        f"is not JSON: expected a comma or the end of the list, got {character!r}."
                    )
                self._position += 1
            is_first = False
            yield self._parse_object()
        self._position += 1
        rest = self._peek()
        if rest:
            raise FormatError(f"is not JSON: {rest!r} follows the end of the list.")

    def _peek(self) -> str:
        """Skip white space; return the next character, or an empty string at the end."""
        while True:
            white_space = _WHITE_SPACE.match(self._text, self._position)
            assert white_space is not None  # it may be empty
            self._position = white_space.end()
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_more():
                return ""

    def _parse_object(self) -> Row:
        """Return the object at the current position, and move past it."""
        opening = self._peek()
        # A list of texts is read, too, but not a list of both.
        if opening not in self._openings:
            raise FormatError(
                "holds no JSON object; expected a list of objects (or of texts), "
                "or one object per line."
            )
        self._openings = (opening,)
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
                break
            except json.JSONDecodeError as error:
                # The object is broken, or its end has not been read yet; reading more shows which.
                reason = _explain_json_error(error, self._position)
                is_too_long = len(self._text) - self._position > MAX_LINE_LENGTH
                if is_too_long or not self._read_more():
                    raise FormatError(reason) from None
            except (ValueError, RecursionError) as error:
                raise FormatError(_explain_json_error(error)) from None
        row = _check_row(value, self._text[self._position : end], self._text_column)
        self._position = end
        return row

    def _read_more(self) -> bool:
        """Read at least one more block; return whether there was one.

        Each attempt to parse a long object starts again at its beginning. The text that is
        still unparsed is therefore doubled each time, which keeps the total time linear.
        """
        if self._is_at_end:
            return False
        self._earlier_lines += self._text.count("\n", 0, self._position)
        rest = self._text[self._position :]
        blocks = list(islice(self._blocks, 1 + len(rest) // BYTES_PER_READ))
        self._is_at_end = not blocks
        try:
            self._text = rest + self._decode(b"".join(blocks), self._is_at_end)
        except UnicodeDecodeError as error:
            feeds, line_error = _find_line(error)
            self._undecodable_line = self._earlier_lines + rest.count("\n") + feeds + 1
            raise line_error from None
        self._position = 0
        return not self._is_at_end


class _RepeatedKeys(dict[str, Any]):
    """A JSON object that names a key twice, marked so that `_check_row` refuses it."""


def _build_object(pairs: list[tuple[str, Any]]) -> Row:
    """Return a JSON object; by default, json silently keeps the last value of a repeated key."""
    row = dict(pairs)
    if len(row) < len(pairs):
        return _RepeatedKeys(row)
    return row


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object, parse_float=SpelledNumber, parse_constant=SpelledNumber
)


def _parse_line(raw: bytes, text_column: str) -> Row:
    """Return the object of a line.

    Raises:
        ValueError: the line is not UTF-8, not JSON, or not an object that can be a row.
    """
    text = raw.decode()
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(_explain_json_error(error)) from None
    return _check_row(value, text, text_column)


def _begins_document(beginning: bytes) -> bool:
    """Return whether a file of JSON begins with an object that is not one of many lines.

    Such an object is either spread over several lines, or it is the only one.

    Args:
        beginning: the first block of the file.
    """
    if not beginning.startswith(b"{"):
        return False
    line, _, rest = beginning.partition(b"\n")
    if not rest.strip():  # the only line, as far as it has been read
        return True
    try:
        text = line.decode().rstrip()
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # The object does not end on its line; any other fault is that of a broken line.
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        pass
    return False


def _read_text(blocks: Iterator[bytes]) -> str:
    """Return the text of a whole file, without white space around it.

    Raises:
        FormatError: the file is too large.
    """
    read: list[bytes] = []
    size = 0
    for block in blocks:
        read.append(block)
        size += len(block)
        if size > _MAX_DOCUMENT_BYTES:
            raise FormatError(
                f"is a document of over {_MAX_DOCUMENT_BYTES / 2**20:.0f} MiB; take its records "
                "out, one per line: jq -c '.KEY[]' FILE > rows.jsonl"
            )
    return b"".join(read).decode("utf-8-sig").strip()


def _find_line(error: UnicodeDecodeError) -> tuple[int, UnicodeDecodeError]:
    """Return the number of line feeds before an undecodable byte, and the error of its line alone."""
    content = error.object
    start = content.rfind(b"\n", 0, error.start) + 1
    line = content[start:].partition(b"\n")[0]
    end = min(error.end - start, len(line))
    of_line = UnicodeDecodeError(error.encoding, line, error.start - start, end, error.reason)
    return content.count(b"\n", 0, start), of_line


def _skip_white_space(text: str, position: int) -> int:
    """Return the position of the next character that is not white space."""
    white_space = _WHITE_SPACE.match(text, position)
    assert white_space is not None  # it may be empty
    return white_space.end()


def _explain_document_error(error: Exception) -> str:
    """Return what is wrong with a document; the line is that of the fault."""
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at character {error.colno}"
    return _explain_json_error(error)


def _find_rare_signs(text: str) -> str:
    """Return those parts of a document that make `_check_row` look closer at every row."""
    signs = [sign for sign in ("\\u0000", "true", "false") if sign in text]
    half_pair = _HALF_PAIR.search(text)
    if half_pair is not None:
        signs.append(half_pair.group())
    return " ".join(signs)


def _check_row(value: Any, text: str, text_column: str) -> Row:
    """Return the value of a JSON text as a row, with truth values as they are spelled.

    Rare cases are first searched for in the text, which is much faster than walking
    through the value.

    Raises:
        ValueError: the value is not an object, or holds something that cannot be text.
    """
    if isinstance(value, str):
        value = {text_column: value}
    if isinstance(value, list):
        raise FormatError(
            "holds a list and no JSON object; expected one object per line. "
            "(A file that is one list is read if its name ends in .json.)"
        )
    if not isinstance(value, dict):
        raise FormatError("holds no JSON object; expected one per line.")
    if isinstance(value, _RepeatedKeys):
        raise FormatError("names a key twice; keep one of the two.")
    if "\\u0000" in text:
        for name, cell in value.items():
            if isinstance(cell, str) and "\0" in cell:
                raise FormatError(f"holds a NUL byte in {format_value(name)}.")
    if _HALF_PAIR.search(text):
        for name, cell in value.items():
            if _HALF_SURROGATE.search(json.dumps([name, cell], ensure_ascii=False)):
                raise FormatError(
                    f"holds half of a surrogate pair in {format_value(name)}, probably because the "
                    "text was cut within an emoji; remove it."
                )
    if "true" in text or "false" in text:
        return {name: _spell_truth(cell) for name, cell in value.items()}
    return value


def _spell_truth(cell: Any) -> Any:
    """Return a truth value as JSON spells it, and anything else unchanged."""
    if isinstance(cell, bool):
        return SpelledNumber(str(cell).lower())
    return cell


def _explain_json_error(error: Exception, start: int = 0) -> str:
    """Return what is wrong with a JSON text that begins at the character `start`."""
    if isinstance(error, RecursionError):
        return "is nested too deep for a row."
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at character {error.pos - start + 1}"
    # Python limits the digits of an integer to 4,300; no other ValueError is left.
    return "holds a number with too many digits; put it into quotes."
