"""Tables: the rows of text, .csv, .tsv, .jsonl, .json and .parquet files, as they are written.

Every part of the package reads files through `open_rows`, one row at a time. A
cell of a .csv or .tsv is exactly its characters: `007` stays `007`, and an empty
cell is an empty string. A number of JSON keeps its spelling when it becomes
text. Parquet keeps its types. A reader that guesses types instead guesses them
anew for each block of rows, and then one label gets two names.
"""

import codecs
import csv
import json
import math
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any, Literal, Protocol

from textvae.data.row_report import RowNumbers

Row = dict[str, Any]


Quoting = Literal["auto", "quoted", "none"]


BYTES_PER_READ = 2**18  # bytes that are read at once


MAX_LINE_LENGTH = 2**26  # bytes of a line, characters of a cell


ROWS_PER_BATCH = 1_000  # rows of Parquet that are decoded at once


_PROBED = 100  # texts that are looked at before a column counts as numbers


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


_BLANKS = re.compile(r"[ \t\r\n]*")


_QUOTED = re.compile('"(?:[^"]|"")*"')  # a cell as programs that quote cells write it


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # JSON's escape for half of a surrogate pair


_CHARACTERS = "If quotes are characters of the texts, set data.quoting=none (--quoting none)"


NUL = "holds a NUL byte"


_MISSED = (
    "If quotes delimit the cells of this file, set data.quoting=quoted (--quoting quoted); "
    "if they are characters of the texts, set data.quoting=none (--quoting none)."
)


_DOUBLED = "otherwise put the text into double quotes and double each quote inside it."


class FormatError(ValueError):
    """Something in a file that cannot be read; the message has no file and no line."""


class RowReader(Protocol):
    """Reads one open file.

    Records are cheap to skip; only `row` makes sense of one.

    Attributes:
        line: the line of the last record, where the file has lines.
        gaps: blank lines between rows. They are no rows themselves, as in every reader of such tables.
    """

    line: int
    gaps: RowNumbers

    def records(self) -> Iterator[Any]:
        """Yield the records.

        Raises:
            FormatError: the rest of the file cannot be read.
        """
        ...

    def row(self, record: Any) -> Row:
        """Return the row of a record.

        Raises:
            ValueError: this record cannot be read; the next one may be.
        """
        ...


def open_rows(
    stream: IO[bytes],
    suffix: str | None,
    text_column: str,
    quoting: Quoting = "auto",
    columns: list[str] | None = None,
) -> RowReader:
    """Return the reader for an open file.

    Args:
        suffix: of the file's name, without that of its compression; None reads text.
        text_column: the name that a line of text gets.
        quoting: whether quotes delimit the cells of a .csv or .tsv.
        columns: the only columns needed; a Parquet file that has all of them skips the others.
    """
    if suffix == ".parquet":
        return _ParquetReader(stream, columns)
    if suffix in (".csv", ".tsv"):
        return _CellReader(stream, suffix, text_column, quoting)
    if suffix in (".json", ".jsonl"):
        return _JsonReader(stream, is_list_allowed=suffix == ".json")
    return _LineReader(stream, text_column)


def as_label(value: object) -> str:
    """Return a label as text, without the blanks around it; a missing one is an empty string."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def as_number(value: object) -> object:
    """Return the number that the cell of a .csv or .tsv spells, or the value itself."""
    return _Spelled(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


class _Spelled(float):
    """A number that remembers how it was written, so that `1.50` becomes no other text."""

    def __new__(cls, spelling: str) -> "_Spelled":
        """Return the number of a spelling."""
        number = super().__new__(cls, {"true": 1, "false": 0}.get(spelling, spelling))
        number.spelling = spelling
        return number

    spelling: str

    def __str__(self) -> str:
        """Return the number as it was written."""
        return self.spelling

    __repr__ = __str__


class _LineReader:
    """Reads text, one sentence per line."""

    def __init__(self, stream: IO[bytes], text_column: str) -> None:
        self.line, self.gaps = 0, RowNumbers("line")
        self._stream, self._text_column = stream, text_column

    def records(self) -> Iterator[bytes]:
        for raw in _lines(_blocks(self._stream)):
            self.line += 1
            yield raw

    def row(self, record: bytes) -> Row:
        return {self._text_column: _decoded(record).removesuffix("\r")}


class _CellReader:
    """Reads a .csv or .tsv; its first line names the columns."""

    def __init__(self, stream: IO[bytes], suffix: str, text_column: str, quoting: Quoting) -> None:
        self.line, self.gaps = 0, RowNumbers("line")
        self._stream, self._text_column, self._quoting = stream, text_column, quoting
        self._separator = "\t" if suffix == ".tsv" else ","
        self._is_quoted = quoting == "quoted" or (quoting == "auto" and suffix == ".csv")
        self._columns: list[str] = []
        self._read = 0  # lines
        self._pending: list[str] = []  # the lines of the record that is being read
        self._flaw: ValueError | None = None  # in one of them
        self._before: list[str] = []  # the cells of the record before

    def records(self) -> Iterator[tuple[int, list[str], ValueError | None]]:
        """Yield the line, the cells and the flaw of each record."""
        flow = self._cells()
        first = next(flow, None)
        if first is None:
            return
        self.line, names, flaw = first
        if flaw is not None:
            raise flaw
        self._columns = [name.strip() for name in names]
        if self._is_quoting_missed(self._columns):
            raise FormatError(f"names its columns in quotes. {_MISSED}")
        repeated = [name for name in self._columns if name and self._columns.count(name) > 1]
        if repeated:
            raise FormatError(
                f"names the column {format_value(repeated[0])} twice; rename one of the two."
            )
        head = self._numbers(flow)
        yield from head
        yield from flow

    def row(self, record: tuple[int, list[str], ValueError | None]) -> Row:
        self.line, cells, flaw = record
        if flaw is not None:
            raise flaw
        if len(cells) != len(self._columns):
            raise FormatError(self._ragged(len(cells)))
        if any(
            isinstance(cell, str) and '""' in cell and self._is_quoting_missed([cell])
            for cell in cells
        ):
            raise FormatError(
                f"has a cell in quotes with doubled quotes in it, as programs write quoted cells. {_MISSED}"
            )
        return dict(zip(self._columns, cells, strict=True))

    def _numbers(self, flow: Iterator[Any]) -> list[Any]:
        """Return the first records, as far as their texts are numbers.

        Where no text is found among them, the text column is one of numbers, and
        its cells become numbers, which whoever wants text refuses.
        """
        head: list[Any] = []
        if self._text_column not in self._columns:
            return head
        place = self._columns.index(self._text_column)
        for record in islice(flow, _PROBED):
            head.append(record)
            cell = record[1][place] if place < len(record[1]) else "?"
            if cell.strip() and not _NUMBER.fullmatch(cell):
                return head
        for _, cells, _ in head:
            cells[place] = as_number(cells[place])
        return head

    def _is_quoting_missed(self, cells: list[str]) -> bool:
        """Whether all cells are quoted, in a file whose quotes count as characters only by default."""
        return (
            self._quoting == "auto"
            and not self._is_quoted
            and all(_QUOTED.fullmatch(cell) for cell in cells)
        )

    def _cells(self) -> Iterator[tuple[int, list[str], ValueError | None]]:
        """Yield the line, the cells and the flaw of each record, the first one included.

        A blank line is a row of a table with one column, whose text is blank; among more columns it is none.
        """
        for cells in self._quoted() if self._is_quoted else self._plain():
            if len(self._columns) == 1 or len(cells) > 1 or "".join(cells).strip():
                yield self.line, cells or [""], self._flaw
            elif self._columns:
                self.gaps.add(self.line)
            self._flaw = None

    def _plain(self) -> Iterator[list[str]]:
        """Yield the cells of each line, in which a quote is a character like any other."""
        for line in self._texts():
            self.line = self._read
            yield line.removesuffix("\r\n").removesuffix("\n").split(self._separator)

    def _quoted(self) -> Iterator[list[str]]:
        """Yield the cells of each record, which has several lines where a quoted cell has."""
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_LENGTH))
        reader = csv.reader(self._texts(), delimiter=self._separator, strict=True)
        while True:
            self._pending = []
            start = self._read + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.line = start
                raise FormatError(_explain(str(error))) from None
            self.line = start
            if len(self._pending) > 1 and self._quoting != "quoted":
                self._check_span(len(self._columns or cells))
            self._before = cells
            yield cells

    def _check_span(self, columns: int) -> None:
        """Refuse a cell that holds whole rows: it begins and ends at quotes that were never meant to delimit it.

        A comma before a blank is prose, unless the record before this one has blanks there too.
        """
        lines = [line for line in self._pending if line.strip()]
        are_spaced = any(cell.startswith(" ") for cell in self._before[1:])
        separator = self._separator if are_spaced else f"{self._separator}(?! )"
        alike = sum(len(re.split(separator, line)) == columns for line in lines)
        if 2 * alike > len(lines):
            raise FormatError(
                f"a quoted cell begins here and takes in {len(self._pending) - 1} more lines that look like rows. "
                f"{_CHARACTERS}; if the cell is meant, set data.quoting=quoted (--quoting quoted)."
            )

    def _texts(self) -> Iterator[str]:
        """Yield the lines as text with their ends, and note the flaw of one."""
        for raw in _lines(_blocks(self._stream)):
            self._read += 1
            try:
                line = _decoded(raw)
            except ValueError as flaw:
                self._flaw = flaw
                line = raw.decode("utf-8", "replace").replace(
                    "\0", "?"
                )  # keeps the record whole, to pass it over
            if self._is_quoted:
                self._pending.append(line)
            yield f"{line}\n"

    def _ragged(self, count: int) -> str:
        """Return what is wrong with a record of too many or too few cells."""
        fields = "1 field" if count == 1 else f"{count} fields"
        columns = "1 column" if len(self._columns) == 1 else f"{len(self._columns)} columns"
        names = f"has {fields}, and the first line names {columns}."
        if count < len(self._columns):
            return f"{names} Give it the missing ones, empty if need be; a text with a line break needs double quotes."
        if self._is_quoted:
            return f"{names} Put a text that holds {self._separator!r} into double quotes."
        return f"{names} If quotes delimit the cells of this file, set data.quoting=quoted (--quoting quoted)."


class _JsonReader:
    """Reads JSON: one object per line or, where that is allowed, a list of objects."""

    def __init__(self, stream: IO[bytes], is_list_allowed: bool) -> None:
        self.line, self.gaps = 0, RowNumbers("line")
        self._stream, self._is_list_allowed = stream, is_list_allowed
        self._columns: Row | None = (
            None  # of the first object: one that lacks some of them has no value there
        )

    def records(self) -> Iterator[bytes | Row]:
        blocks = _blocks(self._stream)
        first = next(blocks, b"")
        blocks = chain([first], blocks)
        if self._is_list_allowed and first.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"["):
            yield from self._items(_Characters(blocks))
            return
        for raw in _lines(blocks):
            self.line += 1
            if not raw.strip():
                self.gaps.add(self.line)
                continue
            if self._columns is None:
                self._find_columns(raw)
            yield raw

    def row(self, record: bytes | Row) -> Row:
        row = self._parsed(record) if isinstance(record, bytes) else record
        if self._columns is not None and not self._columns.keys() <= row.keys():
            return {**self._columns, **row}
        return row

    def _find_columns(self, raw: bytes) -> None:
        """Note the names of the first object; what is wrong with it shows when it is read."""
        try:
            self._columns = dict.fromkeys(self._parsed(raw))
        except ValueError:
            self._columns = {}

    def _parsed(self, raw: bytes) -> Row:
        """Return a line's object."""
        text = raw.decode()
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(_explain_json(error)) from None
        return _checked(value, text)

    def _items(self, source: "_Characters") -> Iterator[Row]:
        """Yield the objects of a list, each as soon as it is read whole."""
        self.line = 1
        try:
            for row in source.items():
                if self._columns is None:
                    self._columns = dict.fromkeys(row)
                yield row
        except FormatError:
            self.line = source.line
            raise


class _ParquetReader:
    """Reads Parquet, a batch of rows at a time."""

    def __init__(self, stream: IO[bytes], columns: list[str] | None) -> None:
        self.line, self.gaps = 0, RowNumbers("line")
        self._stream, self._wanted = stream, columns

    def records(self) -> Iterator[Row]:
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(self._stream)
        names = file.schema_arrow.names
        if repeated := [name for name in names if names.count(name) > 1]:
            raise FormatError(
                f"has two columns called {format_value(repeated[0])}; rename one of the two."
            )
        are_all_there = self._wanted is not None and set(self._wanted) <= set(names)
        for batch in file.iter_batches(
            ROWS_PER_BATCH, columns=self._wanted if are_all_there else None
        ):
            yield from batch.to_pylist()

    def row(self, record: Row) -> Row:
        return record


class _Characters:
    """The characters of a file, read as far as they are needed.

    Attributes:
        text, place: what was read and is still needed, and how far it is used.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.text, self.place = "", 0
        self._blocks = blocks
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._passed = 0  # line ends before the text
        self._is_over = False

    @property
    def line(self) -> int:
        """The line of the place, from 1."""
        return self._passed + self.text.count("\n", 0, self.place) + 1

    def peek(self) -> str:
        """Pass over blanks and return the character after them, or nothing at the end."""
        while True:
            blanks = _BLANKS.match(self.text, self.place)
            assert blanks is not None
            self.place = blanks.end()
            if self.place < len(self.text):
                return self.text[self.place]
            if not self._more():
                return ""

    def items(self) -> Iterator[Row]:
        """Yield the objects of a list."""
        assert self.peek() == "["
        self.place += 1
        is_first = True
        while (sign := self.peek()) != "]":
            if not is_first:
                if sign != ",":
                    raise FormatError(
                        f"is not JSON: expected a comma or the end of the list, got {sign!r}."
                    )
                self.place += 1
            is_first = False
            yield self._value()
        self.place += 1
        if rest := self.peek():
            raise FormatError(f"is not JSON: {rest!r} follows the end of the list.")

    def _value(self) -> Row:
        """Return the object at the place, and go behind it."""
        if self.peek() != "{":
            raise FormatError(
                "holds no JSON object; expected a list of objects, or one object per line."
            )
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.place)
                break
            except json.JSONDecodeError as error:  # or it is not read whole yet
                reason = _explain_json(error, self.place)
                if len(self.text) - self.place > MAX_LINE_LENGTH or not self._more():
                    raise FormatError(reason) from None
            except (ValueError, RecursionError) as error:
                raise FormatError(_explain_json(error)) from None
        row = _checked(value, self.text[self.place : end])
        self.place = end
        return row

    def _more(self) -> bool:
        """Read as much again as is still needed, and a block at least; tell whether there was more."""
        if self._is_over:
            return False
        self._passed += self.text.count("\n", 0, self.place)
        rest = self.text[self.place :]
        blocks = list(islice(self._blocks, 1 + len(rest) // BYTES_PER_READ))
        self._is_over = not blocks
        try:
            self.text, self.place = rest + self._decode(b"".join(blocks), self._is_over), 0
        except UnicodeDecodeError:
            raise FormatError(
                "after this line the file is not UTF-8. Convert it (iconv -f latin1 -t utf-8)."
            ) from None
        return not self._is_over


class _Repeated(dict[str, Any]):
    """A JSON object that names a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """Return a JSON object, marked if it names a key twice."""
    row = dict(pairs)
    return row if len(row) == len(pairs) else _Repeated(row)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_Spelled, parse_constant=_Spelled
)


def _checked(value: Any, text: str) -> Row:
    """Return what a JSON text holds, if it can be a row."""
    if not isinstance(value, dict):
        raise FormatError("holds no JSON object; expected one per line.")
    if isinstance(value, _Repeated):
        raise FormatError("names a key twice; keep one of the two.")
    if "\\u0000" in text:
        for name, cell in value.items():
            if isinstance(cell, str) and "\0" in cell:
                raise FormatError(f"holds a NUL byte in {format_value(name)}.")
    if _HALF_PAIR.search(text):
        json.dumps(
            value, ensure_ascii=False
        ).encode()  # raises: half of a surrogate pair is no text
    if "true" in text or "false" in text:
        return {
            name: _Spelled(str(cell).lower()) if isinstance(cell, bool) else cell
            for name, cell in value.items()
        }
    return value


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes."""
    return iter(lambda: stream.read(BYTES_PER_READ), b"")


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines without their line feeds and without a byte order mark.

    Raises:
        FormatError: a line is longer than any text, or the file has carriage returns for line ends.
    """
    rest: list[bytes] = []  # pieces of a line that has not ended
    is_first, has_ends = True, False
    for block in blocks:
        if is_first:
            block = block.removeprefix(_BYTE_ORDER_MARK)
            is_first = False
        rest.append(block)
        if b"\n" in block:
            *whole, last = b"".join(rest).split(b"\n")
            rest, has_ends = [last], True
            yield from whole
        elif sum(map(len, rest)) > MAX_LINE_LENGTH:
            raise FormatError(
                f"a line has over {MAX_LINE_LENGTH / 2**20:.0f} MiB; expected text, one sentence per line."
            )
    last = b"".join(rest)
    if not has_ends and b"\r" in last.strip(b"\r"):
        raise FormatError("its lines end with carriage returns alone; convert it (tr '\\r' '\\n').")
    if last:
        yield last


def _decoded(raw: bytes) -> str:
    """Return a line as text.

    Raises:
        ValueError: it is not UTF-8 or holds a NUL byte.
    """
    if b"\0" in raw:
        raise FormatError(NUL)
    return raw.decode()


def _explain(error: str) -> str:
    """Return what the csv module found, in words that say how to fix it."""
    if "new-line character" in error:
        return "a cell holds a carriage return outside quotes. Remove it, or put the cell into double quotes."
    if "end of data" in error or "field limit" in error:
        return f"a quoted cell begins here and does not end. {_CHARACTERS}; {_DOUBLED}"
    if "expected after" in error:
        return f"a quote ends a cell that begins on this line, and more text follows. {_CHARACTERS}; {_DOUBLED}"
    return f"cannot be read as a table: {error}."


def _explain_json(error: Exception, start: int = 0) -> str:
    """Return what is wrong with a JSON text."""
    if isinstance(error, RecursionError):
        return "is nested too deep for a row."
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at character {error.pos - start + 1}"
    return "holds a number of too many digits; put it into quotes."


def format_value(value: object) -> str:
    """Return a value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
