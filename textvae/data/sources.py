"""Sources: where sentences come from, whatever they are stored in.

A corpus is a text file, a table with a text column, a folder of either, the
name of a bundled corpus, or the name of a `datasets` data set. Here each becomes
a stream of rows per split; nothing is held in memory. Names of files are taken
literally, also where they hold signs that mean something in a pattern.
"""

import glob
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from textvae.data import BUNDLED_CORPORA
from textvae.data.row_report import print_note
from textvae.data.tables import NUL, Quoting, RowReader, open_rows
from textvae.data.tables import Row as Row
from textvae.errors import DataError
from textvae.schema import did_you_mean

RowSource = Callable[[], Iterator[Row]]


CORPUS_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")


WILD = "*?["


SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


def find_splits(corpus: str, text_column: str, quoting: Quoting = "auto") -> dict[str, RowSource]:
    """Return the rows of each split found; everything is `train` where no file is named for a split.

    Raises:
        DataError: nothing can be read under that name.
    """
    path = resolve_path(corpus)
    if path.is_dir():
        return _find_folder_splits(path, list_corpus_files(corpus), text_column, quoting)
    if path.is_file():
        return {"train": source_from_files([path], text_column, quoting)}
    if path.suffix or corpus.startswith((".", "/", "~")) or corpus.count("/") > 1:
        near = did_you_mean(
            path.name,
            [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else [],
        )
        raise DataError(
            f"{corpus}: there is no such file or folder" + (f"; {near.strip()}" if near else ".")
        )
    return _load_data_set_splits(corpus)


def list_corpus_files(corpus: str) -> list[Path]:
    """Return the files a corpus is read from; none where it is the name of a data set, or nothing."""
    path = resolve_path(corpus)
    if path.is_dir():
        return sorted(
            file for file in path.iterdir() if file.is_file() and _get_corpus_suffix(file)
        )
    return [path] if path.is_file() else []


def resolve_path(corpus: str) -> Path:
    """Return the path that names a corpus, `~` being a home folder unless a file is called so."""
    path = Path(BUNDLED_CORPORA.get(corpus, corpus))
    try:
        return path if path.exists() else path.expanduser()
    except RuntimeError:  # nobody is called so
        return path


def _get_corpus_suffix(path: Path) -> str | None:
    """Return the suffix that says how to read a file, `.gz` left aside; None where there is no such."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return suffixes[-1] if suffixes and suffixes[-1] in CORPUS_SUFFIXES else None


def _find_folder_splits(
    folder: Path, files: list[Path], text_column: str, quoting: Quoting = "auto"
) -> dict[str, RowSource]:
    """Group a folder's files by the first word in their names that means a split."""
    if not files:
        raise DataError(
            f"{folder}: holds no file to read; wanted are {', '.join(CORPUS_SUFFIXES)}, gzipped or not."
        )
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(infer_split(file.name), []).append(file)
    if "train" not in splits:
        raise DataError(
            f"{folder}: holds {', '.join(sorted(splits))} but nothing to train on; name a file train.txt, say."
        )
    return {
        split: source_from_files(files, text_column, quoting) for split, files in splits.items()
    }


def infer_split(name: str) -> str:
    """Return the split that the first word in a file's name means; `train` where none does."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "train")


def source_from_files(files: list[Path], text_column: str, quoting: Quoting = "auto") -> RowSource:
    """Return the rows of several files, one file after another."""

    def rows() -> Iterator[Row]:
        for file in files:
            yield from _read_file_rows(file, text_column, quoting)

    return rows


def _read_file_rows(file: Path, text_column: str, quoting: Quoting) -> Iterator[Row]:
    """Yield a file's rows.

    Raises:
        DataError: the file is empty, damaged, or not the kind of file its name says; file and line are named.
    """
    suffix = _get_corpus_suffix(file)
    reader: RowReader | None = None
    try:
        with open_bytes(file) as stream:
            reader = open_rows(stream, suffix, text_column, quoting)
            for record in reader.records():
                yield reader.row(record)
    except DataError:
        raise
    except Exception as error:  # each library for tables and compression has errors of its own, without a common root
        raise DataError(
            explain_format_error(file, suffix, 0 if reader is None else reader.line, error)
        ) from error
    if reader.gaps.count:
        what = (
            "1 blank line is no row"
            if reader.gaps.count == 1
            else f"{reader.gaps.count:,} blank lines are no rows"
        )
        print_note(f"{file}: {what} ({reader.gaps}); rows are counted without them.")
    if reader.line == 0 and suffix != ".parquet":
        raise DataError(f"{file}: is empty; wanted is a sentence a line.")


def explain_format_error(file: str | Path, suffix: str | None, line: int, error: Exception) -> str:
    """Return what is wrong with a file, in words that name it and say how to fix it.

    Args:
        line: of the row that was read last.
    """
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
        return f"{file}: its gzip compression is damaged after line {line}: {error}."
    if suffix == ".parquet":
        return f"{file}: cannot be read as parquet: {error}"
    if isinstance(error, UnicodeDecodeError):
        return (
            f"{file}, line {line}: is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}). "
            "Convert it (iconv -f latin1 -t utf-8, say), or give a text file."
        )
    if isinstance(error, OSError):
        return f"{file}: cannot be read: {error.strerror or error}."
    if str(error) == NUL:
        return f"{file}, line {line}: {error}. Is it a text file with one sentence per line?"
    return f"{file}, line {line}: {error}"


def match_pattern(pattern: Path) -> list[Path]:
    """Return the files whose names fit a pattern (`**` means any folders), sorted.

    Folders at its beginning that exist are taken by their names, whatever signs these hold.
    """
    root = fixed_part(pattern)
    names = glob.glob(str(pattern.relative_to(root)), root_dir=root, recursive=True)
    return sorted(root / name for name in names if (root / name).is_file())


def fixed_part(pattern: Path) -> Path:
    """Return the folders at the beginning of a pattern: those that exist, or have no wild sign."""
    root = Path(*pattern.parts[:1]) if pattern.is_absolute() else Path()
    for part in pattern.relative_to(root).parts[:-1]:
        if set(part) & set(WILD) and not (root / part).is_dir():
            break
        root = root / part
    return root


def open_bytes(file: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped (which its first bytes tell)."""
    with file.open("rb") as stream:
        is_gzipped = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(file, "rb")) if is_gzipped else file.open("rb")


def _load_data_set_splits(name: str) -> dict[str, RowSource]:
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
            f"{name}: is no file or folder here, no bundled corpus ({', '.join(BUNDLED_CORPORA)}), "
            f"and `datasets` cannot load it: {next(iter(str(error).splitlines()), type(error).__name__)}"
        ) from error
    splits = {SPLIT_NAMES.get(split, split): split for split in found}
    if "train" not in splits:
        raise DataError(f"{name}: has the splits {', '.join(found)} but none called train.")
    return {
        ours: _source_from_data_set(found[theirs])
        for ours, theirs in splits.items()
        if ours in SPLIT_NAMES.values()
    }


def _source_from_data_set(stream: Any) -> RowSource:
    """Return the rows of one split of a data set."""
    return lambda: iter(stream)
