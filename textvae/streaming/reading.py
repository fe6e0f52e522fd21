"""Reading: the rows of a file, as a stream, with damage reported or passed over.

`datasets` opens, unpacks and retries, files here and on object stores alike,
and reads tables. Lines are cut here, JSON's too: so each can be named, and a
broken one passed over, for which the library's reader of JSON would read the
whole file into memory. Its readers are asked directly, for `load_dataset` also
tells a server of each file it opens, and waits for that.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from datasets.download.streaming_download_manager import StreamingDownloadManager
from datasets.io.csv import CsvDatasetReader
from datasets.io.parquet import ParquetDatasetReader
from datasets.utils.file_utils import xopen

from textvae.corpus import DataSettings
from textvae.errors import DataError
from textvae.sources import BYTE_ORDER_MARK, Row, csv_options
from textvae.streaming.files import READERS, suffix_of

BLOCK = 1_000  # rows of a table that are read at once
CHUNK = 2**18  # bytes of text that are read at once
LONGEST = 2**26  # bytes of a line
MEND = "Repair it and go on with --resume, or pass over such damage: data.on_corrupt=skip."

logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)  # what they say stands in our message


class Reader:
    """Reads files, and stops at damage or passes over it.

    A damaged line (not UTF-8, no JSON object) is passed over alone; where the
    file itself is broken (its compression, a page of it), the rest of it is.

    Attributes:
        counts: the `corrupt rows` and `broken files` that were passed over.
        notices: (file, message) of each broken file, and of the first corrupt row each time a file was read.
    """

    def __init__(self, settings: DataSettings, columns: list[str]) -> None:
        self.settings, self.columns = settings, columns
        self.counts: Counter[str] = Counter()
        self.notices: list[tuple[str, str]] = []

    def rows(self, file: str, start: int = 0, part: int = 0, parts: int = 1) -> Iterator[tuple[int, Row]]:
        """Yield the rows after the first `start`, every `parts`-th of them from `part`, each with its number from 1.

        Raises:
            DataError: the file is missing or damaged, and damage is not to be passed over.
        """
        number, is_sound, parse = start, True, PARSERS[kind_of(file)]
        for block in self.blocks(file, start):
            for raw in block:
                number += 1
                if (number - 1) % parts != part:
                    continue
                try:
                    row = parse(raw, self.settings.text_column)
                except ValueError as flaw:
                    self.pass_over("corrupt rows", file, f"row {number:,}: {flaw}", is_sound)
                    is_sound = False
                else:
                    yield number, row

    def blocks(self, file: str, start: int) -> Iterator[list[Any]]:
        """Yield a file's rows after the first `start`, up to where it is broken."""
        is_text, read = kind_of(file) in ("text", "jsonl"), 0
        flow: Iterator[list[Any]] = lines(file) if is_text else table_rows(file, self.columns)
        while True:
            try:
                block = next(flow, None)
            except ImportError as error:  # the library for a file system or a compression
                raise DataError(f"{file}: {error}.") from error
            except Exception as error:  # each reader has errors of its own, without a common root
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                return self.pass_over("broken files", file, f"after row {read:,}: cannot be read on ({reason})")
            if block is None:
                return None
            read += len(block)
            if read > start:
                yield block[max(0, start - read + len(block)) :]

    def pass_over(self, what: str, file: str, where: str, is_notice: bool = True) -> None:
        """Count damage, or stop at it."""
        if self.settings.on_corrupt == "stop":
            raise DataError(f"{file}, {where}. {MEND}")
        self.counts[what] += 1
        if is_notice:
            self.notices.append((file, f"{file}, {where}: passed over"))


def kind_of(file: str) -> str:
    """Return how a file is read."""
    return READERS[suffix_of(file) or ".txt"]


def lines(file: str) -> Iterator[list[bytes]]:
    """Yield a file's lines, without their ends, as many at a time as a chunk holds."""
    with xopen(StreamingDownloadManager().extract(file), "rb") as stream:
        rest, is_first = b"", True
        while chunk := stream.read(CHUNK):
            if is_first:
                chunk, is_first = chunk.removeprefix(BYTE_ORDER_MARK), False
            *block, rest = (rest + chunk).split(b"\n")
            if block:
                yield block
            if len(rest) > LONGEST:
                raise ValueError(f"a line has over {LONGEST / 2**20:.0f} MiB; wanted is text, a sentence a line")
    if rest:
        yield [rest]


def table_rows(file: str, columns: list[str]) -> Iterator[list[Row]]:
    """Yield a table's rows, a block at a time; of a parquet file only the wanted columns, if it has them all."""
    if kind_of(file) == "csv":
        stream = CsvDatasetReader([file], streaming=True, **csv_options(suffix_of(file))).read()
    else:
        stream = ParquetDatasetReader([file], streaming=True, batch_size=BLOCK).read()
        if set(columns) <= set(stream.column_names):
            stream = ParquetDatasetReader([file], streaming=True, batch_size=BLOCK, columns=columns).read()
    for table in stream.with_format("arrow").iter(batch_size=BLOCK):
        yield table.to_pylist()


def row_of_line(line: bytes, text_column: str) -> Row:
    """Return a line as a row."""
    return row_of_table({text_column: line.decode().removesuffix("\r")}, text_column)


def row_of_json(line: bytes, text_column: str) -> Row:
    """Return a line's JSON object; a blank line is a blank text."""
    if not line.strip():
        return {text_column: ""}
    try:
        row = json.loads(line.decode())
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError("holds no JSON object; wanted is one a line")
    str(row.get(text_column)).encode()  # half of a surrogate pair is no text
    return row


def row_of_table(row: Row, text_column: str) -> Row:
    """Return the row if its text is one."""
    if "\0" in str(row.get(text_column)):
        raise ValueError("holds a NUL byte")
    return row


PARSERS: dict[str, Callable[[Any, str], Row]] = {
    "text": row_of_line,
    "jsonl": row_of_json,
    "csv": row_of_table,
    "parquet": row_of_table,
}
