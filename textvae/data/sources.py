"""Sources: where sentences come from, whatever format they are stored in.

A corpus is a text file, a table with a text column, a folder of either, the name
of a bundled corpus, or the name of a data set that `datasets` can load. Each
becomes one iterator over rows per split, so a corpus need not fit into memory. The
name of an existing file is taken literally, even if it contains wildcards.
"""

import glob
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from textvae.data import BUNDLED_CORPORA
from textvae.data.row_report import RowNumbers, print_note
from textvae.data.tables import NUL_MESSAGE, Quoting, Row, RowReader, open_rows
from textvae.errors import DataError
from textvae.schema import did_you_mean

RowSource = Callable[[], Iterator[Row]]  # each call starts again at the first row

CORPUS_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")

WILD = "*?["  # the wildcards of patterns

# The words for splits in names of files and data sets, and our names of these splits.
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
    """Return the rows of each split of a corpus.

    Files whose names contain no word for a split belong to `train`, and so does a
    single file, whatever its name.

    Args:
        corpus: a file, a folder, a bundled corpus, or the name of a data set on the Hub.
        text_column: the name of the column that the lines of a text file become.
        quoting: whether quotes delimit the cells of .csv and .tsv files.

    Raises:
        DataError: nothing with that name can be read.
    """
    path = resolve_path(corpus)
    if path.is_dir():
        return _find_folder_splits(path, list_corpus_files(corpus), text_column, quoting)
    if path.is_file():
        return {"train": source_from_files([path], text_column, quoting)}
    # Names on the Hub are `name` or `owner/name`; anything else must have been meant as a path.
    if path.suffix or corpus.startswith((".", "/", "~")) or corpus.count("/") > 1:
        raise _build_missing_file_error(corpus, path)
    return _load_data_set_splits(corpus)


def list_corpus_files(corpus: str) -> list[Path]:
    """Return the files of a corpus, sorted; none for a data set on the Hub or a missing file."""
    path = resolve_path(corpus)
    if path.is_dir():
        return sorted(
            file for file in path.iterdir() if file.is_file() and _get_corpus_suffix(file)
        )
    if path.is_file():
        return [path]
    return []


def resolve_path(corpus: str) -> Path:
    """Return the path of a corpus; `~` is the home folder unless a file has that name."""
    path = Path(BUNDLED_CORPORA.get(corpus, corpus))
    if path.exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # `~name` of a user who does not exist
        return path


def infer_split(name: str) -> str:
    """Return the split that a file's name mentions first; `train` if it mentions none."""
    for word in re.split(r"[^a-z]+", name.lower()):
        if word in SPLIT_NAMES:
            return SPLIT_NAMES[word]
    return "train"


def source_from_files(files: list[Path], text_column: str, quoting: Quoting = "auto") -> RowSource:
    """Return a source of the rows of several files, one file after another."""

    def rows() -> Iterator[Row]:
        for file in files:
            yield from _read_file_rows(file, text_column, quoting)

    return rows


def explain_format_error(file: str | Path, suffix: str | None, line: int, error: Exception) -> str:
    """Return what is wrong with a file, where, and how to fix it.

    Args:
        suffix: the suffix that says how the file is read; None for text.
        line: the line of the row that was read last; 0 before the first one.
        error: what the reader raised.
    """
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
        return f"{file}: its gzip compression is damaged after line {line}: {error}."
    if suffix == ".parquet":
        return f"{file}: cannot be read as parquet: {error}"
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return (
            f"{file}, line {line}: is not UTF-8 (byte {byte:#04x} at {error.start}). "
            "Convert it (for instance with iconv -f latin1 -t utf-8), or give a text file."
        )
    if isinstance(error, OSError):
        return f"{file}: cannot be read: {error.strerror or error}."
    if str(error) == NUL_MESSAGE:
        return f"{file}, line {line}: {error}. Is it a text file with one sentence per line?"
    return f"{file}, line {line}: {error}"


def match_pattern(pattern: Path) -> list[Path]:
    """Return the files whose names match a pattern, sorted; `**` matches any folders.

    Existing folders at the start of the pattern are taken literally, even if their
    names contain wildcards.
    """
    root = fixed_part(pattern)
    names = glob.glob(str(pattern.relative_to(root)), root_dir=root, recursive=True)
    return sorted(root / name for name in names if (root / name).is_file())


def fixed_part(pattern: Path) -> Path:
    """Return the folders at the start of a pattern that exist or contain no wildcard."""
    root = Path()
    if pattern.is_absolute():
        root = Path(*pattern.parts[:1])
    for part in pattern.relative_to(root).parts[:-1]:
        if set(part) & set(WILD) and not (root / part).is_dir():
            break
        root = root / part
    return root


def open_bytes(file: Path) -> IO[bytes]:
    """Open a file for reading; decompress it if it begins with the magic number of gzip."""
    with file.open("rb") as stream:
        is_gzipped = stream.read(2) == b"\x1f\x8b"
    if is_gzipped:
        return cast(IO[bytes], gzip.open(file, "rb"))
    return file.open("rb")


def _build_missing_file_error(corpus: str, path: Path) -> DataError:
    """Return the error for a missing file; it suggests a file of a similar name, if any."""
    neighbors: list[str] = []
    if path.parent.is_dir():
        neighbors = [other.name for other in path.parent.glob("*")]
    suggestion = did_you_mean(path.name, neighbors).strip()
    if suggestion:
        return DataError(f"{corpus}: there is no such file or folder; {suggestion}")
    return DataError(f"{corpus}: there is no such file or folder.")


def _get_corpus_suffix(path: Path) -> str | None:
    """Return the suffix that says how to read a file, ignoring `.gz`; None if it is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    # Only the last one counts: `ptb.train.txt` has two.
    if suffixes and suffixes[-1] in CORPUS_SUFFIXES:
        return suffixes[-1]
    return None


def _find_folder_splits(
    folder: Path, files: list[Path], text_column: str, quoting: Quoting = "auto"
) -> dict[str, RowSource]:
    """Return the rows of each split of a folder, whose files are grouped by their names.

    Raises:
        DataError: the folder has no file to read, or none for the training split.
    """
    if not files:
        raise DataError(
            f"{folder}: contains no file to read; expected {', '.join(CORPUS_SUFFIXES)}, "
            "gzipped or not."
        )
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(infer_split(file.name), []).append(file)
    if "train" not in splits:
        raise DataError(
            f"{folder}: contains {', '.join(sorted(splits))} but nothing to train on; "
            "name a file train.txt, for instance."
        )
    return {
        split: source_from_files(split_files, text_column, quoting)
        for split, split_files in splits.items()
    }


def _read_file_rows(file: Path, text_column: str, quoting: Quoting) -> Iterator[Row]:
    """Yield a file's rows.

    Raises:
        DataError: the file is empty, damaged, or not in the format of its suffix; the
            message names the file and the line.
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
    except Exception as error:  # each library raises errors of its own, without a common base
        line = 0
        if reader is not None:
            line = reader.line
        raise DataError(explain_format_error(file, suffix, line, error)) from error
    if reader.blank_lines.count:
        _report_blank_lines(file, reader.blank_lines)
    if reader.line == 0 and suffix != ".parquet":
        raise DataError(f"{file}: is empty; expected one sentence per line.")


def _report_blank_lines(file: Path, blank_lines: RowNumbers) -> None:
    """Print a note about the blank lines of a table, which are not counted as rows."""
    lines = "1 blank line is not a row"
    if blank_lines.count > 1:
        lines = f"{blank_lines.count:,} blank lines are not rows"
    print_note(f"{file}: {lines} ({blank_lines}); rows are counted without them.")


def _load_data_set_splits(name: str) -> dict[str, RowSource]:
    """Return the rows of each split of a data set, named `name` or `name:config` on the Hub.

    Raises:
        DataError: the data set cannot be loaded, or has no training split.
    """
    from datasets import load_dataset  # slow to import, and most corpora are files

    # Streaming: the data set need not fit on the disk.
    path, _, config = name.partition(":")
    try:
        streams: Mapping[str, Any] = load_dataset(path, config or None, streaming=True)
    except Exception as error:  # network, Hub and builder errors have no common base
        # Some of these errors have no message, others many lines.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"{name}: is not a file, a folder or a bundled corpus ({', '.join(BUNDLED_CORPORA)}), "
            f"and `datasets` cannot load it: {reason}"
        ) from error
    splits = {SPLIT_NAMES.get(split, split): split for split in streams}
    if "train" not in splits:
        raise DataError(f"{name}: has the splits {', '.join(streams)} but none called train.")
    return {
        split: _build_data_set_source(streams[their_name])
        for split, their_name in splits.items()
        if split in SPLIT_NAMES.values()  # not an `unsupervised` split, say
    }


def _build_data_set_source(stream: Any) -> RowSource:
    """Return a source of the rows of one split of a data set."""
    return lambda: iter(stream)
