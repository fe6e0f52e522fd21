"""Sources: where sentences come from, whatever they are stored in.

A corpus is a text file, a table with a text column, a folder of either, the
name of a bundled corpus, or the name of a `datasets` data set. Here each becomes
a stream of rows per split; nothing is held in memory.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from textvae.data import BUNDLED
from textvae.errors import DataError
from textvae.parts import did_you_mean

Row = dict[str, Any]
Rows = Callable[[], Iterator[Row]]

TABLES = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
SUFFIXES = (".txt", *TABLES)
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def find_splits(corpus: str, text_column: str) -> dict[str, Rows]:
    """Return the rows of each split found; everything is `train` where no file is named for a split.

    Raises:
        DataError: nothing can be read under that name.
    """
    path = Path(BUNDLED.get(corpus, corpus)).expanduser()
    if path.is_dir():
        return splits_of_folder(path, files_of(corpus), text_column)
    if path.is_file():
        return {"train": rows_of([path], text_column)}
    if path.suffix or corpus.startswith((".", "/", "~")) or corpus.count("/") > 1:
        near = did_you_mean(path.name, [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise DataError(f"{corpus}: there is no such file or folder" + (f"; {near.strip()}" if near else "."))
    return splits_of_data_set(corpus)


def files_of(corpus: str) -> list[Path]:
    """Return the files a corpus is read from; none where it is the name of a data set, or nothing."""
    path = Path(BUNDLED.get(corpus, corpus)).expanduser()
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and suffix_of(file))
    return [path] if path.is_file() else []


def suffix_of(path: Path) -> str | None:
    """Return the suffix that says how to read a file, `.gz` left aside; None where there is no such."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else None


def splits_of_folder(folder: Path, files: list[Path], text_column: str) -> dict[str, Rows]:
    """Group a folder's files by the first word in their names that means a split."""
    if not files:
        raise DataError(f"{folder}: holds no file to read; wanted are {', '.join(SUFFIXES)}, gzipped or not.")
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(split_of(file.name), []).append(file)
    if "train" not in splits:
        raise DataError(
            f"{folder}: holds {', '.join(sorted(splits))} but nothing to train on; name a file train.txt, say."
        )
    return {split: rows_of(files, text_column) for split, files in splits.items()}


def split_of(name: str) -> str:
    """Return the split that the first word in a file's name means; `train` where none does."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "train")


def rows_of(files: list[Path], text_column: str) -> Rows:
    """Return the rows of several files, one file after another."""

    def rows() -> Iterator[Row]:
        for file in files:
            if suffix_of(file) in TABLES:
                yield from table_rows(file)
            else:
                yield from ({text_column: line} for line in text_lines(file))

    return rows


def text_lines(file: Path) -> Iterator[str]:
    """Yield a text file's lines, without their ends.

    Raises:
        DataError: the file is empty, not UTF-8, holds a NUL byte, or its compression is damaged.
    """
    number = 0
    try:
        with open_bytes(file) as stream:
            for number, raw in enumerate(stream, start=1):
                raw = raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw
                if b"\0" in raw:
                    raise DataError(f"{file}, line {number}: holds a NUL byte. Is it a text file, a sentence a line?")
                yield raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}, line {number}: is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}). "
            "Convert it (iconv -f latin1 -t utf-8, say), or give a text file."
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file}: its gzip compression is damaged after line {number}: {error}.") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None
    if number == 0:
        raise DataError(f"{file}: is empty; wanted is a sentence a line.")


def open_bytes(file: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped (which its first bytes tell)."""
    with file.open("rb") as stream:
        is_gzipped = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(file, "rb")) if is_gzipped else file.open("rb")


def table_rows(file: Path) -> Iterator[Row]:
    """Yield a table's rows, read by `datasets` as a stream.

    Raises:
        DataError: the file is not the kind of table its name says.
    """
    from datasets import load_dataset
    from datasets.utils.logging import CRITICAL, set_verbosity

    suffix = suffix_of(file)
    assert suffix is not None
    options = csv_options(suffix) if TABLES[suffix] == "csv" else {}
    if options:
        check_fields(file, options["sep"])
    elif suffix != ".parquet":
        for _ in text_lines(file):  # names the line of a bad byte, which the table reader does not
            pass
    set_verbosity(CRITICAL)  # what the reader has to say, our own message says
    try:
        yield from load_dataset(TABLES[suffix], data_files=str(file), streaming=True, split="train", **options)
    except Exception as error:  # each reader has errors of its own, without a common root
        raise DataError(f"{file}: cannot be read as {suffix[1:]}: {error}") from error


def check_fields(file: Path, separator: str) -> None:
    """Refuse a row with more fields than there are columns: the table reader would shift them, or drop some.

    Raises:
        DataError: with the line, and how many there are.
    """
    reader = csv.reader((f"{line}\n" for line in text_lines(file)), delimiter=separator)
    try:
        columns = next(reader)
        for row in reader:
            if len(row) > len(columns):
                raise DataError(
                    f"{file}, line {reader.line_num}: has {len(row)} fields, and the first line names {len(columns)} "
                    f"columns. Put a text that holds {separator!r} into double quotes."
                )
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: cannot be read as a table: {error}.") from error


def csv_options(suffix: str | None) -> dict[str, Any]:
    """Return how a .csv or .tsv is read: no column is an index, `None` is text, only nothing is missing."""
    return {"index_col": False, "keep_default_na": False, "na_values": [""], "sep": "\t" if suffix == ".tsv" else ","}


def splits_of_data_set(name: str) -> dict[str, Rows]:
    """Stream a data set by its name in the hub, `name` or `name:config`.

    Raises:
        DataError: it cannot be loaded.
    """
    from datasets import load_dataset

    path, _, config = name.partition(":")
    try:
        found: Mapping[str, Any] = load_dataset(path, config or None, streaming=True)
    except Exception as error:  # network, hub and builder errors have no common root
        raise DataError(
            f"{name}: is no file or folder here, no bundled corpus ({', '.join(BUNDLED)}), "
            f"and `datasets` cannot load it: {next(iter(str(error).splitlines()), type(error).__name__)}"
        ) from error
    splits = {SPLIT_NAMES.get(split, split): split for split in found}
    if "train" not in splits:
        raise DataError(f"{name}: has the splits {', '.join(found)} but none called train.")
    return {ours: data_set_rows(found[theirs]) for ours, theirs in splits.items() if ours in SPLIT_NAMES.values()}


def data_set_rows(stream: Any) -> Rows:
    """Return the rows of one split of a data set."""
    return lambda: iter(stream)
