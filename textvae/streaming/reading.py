"""Reading: the rows of a file by `datasets`, as a stream, with damage reported or passed over.

The library opens, unpacks, retries and parses; its readers are asked directly,
for `load_dataset` also tells a server of each file it opens, and waits for that.
JSON is read as lines of text, since the library answers one broken line by
reading the whole file into memory, and since only so the line can be named.
"""

import codecs
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from datasets.io.csv import CsvDatasetReader
from datasets.io.parquet import ParquetDatasetReader
from datasets.io.text import TextDatasetReader

from textvae.corpus import DataSettings
from textvae.errors import DataError
from textvae.sources import Row, csv_options
from textvae.streaming.files import READERS, suffix_of

BLOCK = 1_000  # rows that come at once
CHUNK = 2**18  # characters of a text file that are read at once
MARK = "\0"  # stands for bytes that are not UTF-8, and for itself: neither is text
MEND = "Repair it and go on with --resume, or pass over such damage: data.on_corrupt=skip."

logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)  # what they say stands in our message


class Reader:
    """Reads files, and stops at damage or passes over it.

    A damaged row (not UTF-8, no JSON object) is passed over alone; where the
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
                    yield number, parse(raw, self.settings.text_column)
                except ValueError as flaw:
                    self.pass_over("corrupt rows", file, f"row {number:,}: {flaw}", is_sound)
                    is_sound = False

    def blocks(self, file: str, start: int) -> Iterator[list[Any]]:
        """Yield a file's rows after the first `start`, up to where it is broken."""
        read, flow = 0, tables(file, self.columns)
        while True:
            try:
                table = next(flow, None)
            except ImportError as error:  # the library for a file system or a compression
                raise DataError(f"{file}: {error}.") from error
            except Exception as error:  # each reader has errors of its own, without a common root
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                return self.pass_over("broken files", file, f"after row {read:,}: cannot be read on ({reason})")
            if table is None:
                return None
            read += len(table)
            if read > start:
                yield plain(table.slice(max(0, start - read + len(table))), kind_of(file))

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


def tables(file: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield a file's rows, a block at a time; of a parquet file only the wanted columns, if it has them all."""
    kind, suffix = kind_of(file), suffix_of(file)
    if kind == "csv":
        reader = CsvDatasetReader([file], streaming=True, encoding_errors=MARKING, **csv_options(suffix))
    elif kind == "parquet":
        reader = ParquetDatasetReader([file], streaming=True, batch_size=BLOCK)
        if set(columns) <= set(reader.read().column_names):
            reader = ParquetDatasetReader([file], streaming=True, batch_size=BLOCK, columns=columns)
    else:
        options = {"chunksize": CHUNK, "encoding": "utf-8-sig", "encoding_errors": MARKING}
        reader = TextDatasetReader([file], streaming=True, **options)
    yield from reader.read().with_format("arrow").iter(batch_size=BLOCK)


def plain(table: pa.Table, kind: str) -> list[Any]:
    """Return a table's rows: the lines of a text, the mappings of a table."""
    rows: list[Any] = table["text"].to_pylist() if kind in ("text", "jsonl") else table.to_pylist()
    return rows


def row_of_line(line: str, text_column: str) -> Row:
    """Return a line as a row."""
    return row_of_table({text_column: line}, text_column)


def row_of_json(line: str, text_column: str) -> Row:
    """Return a line's JSON object."""
    if MARK in line:
        raise ValueError("is not UTF-8")
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("holds no JSON object; wanted is one a line")
    return row


def row_of_table(row: Row, text_column: str) -> Row:
    """Return the row if its text is one."""
    if MARK in str(row.get(text_column)):
        raise ValueError("is not UTF-8, or holds a NUL byte")
    return row


PARSERS: dict[str, Callable[[Any, str], Row]] = {
    "text": row_of_line,
    "jsonl": row_of_json,
    "csv": row_of_table,
    "parquet": row_of_table,
}


def mark(error: UnicodeError) -> tuple[str, int]:
    """Put a mark where bytes are not UTF-8, so that their row can be named."""
    assert isinstance(error, UnicodeDecodeError)
    return MARK, error.end


MARKING = "textvae.mark"
codecs.register_error(MARKING, mark)
