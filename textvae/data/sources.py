"""Sources: where sentences come from, whatever format they are stored in.

A corpus is a text file, a table with a text column, a folder of either, the name
of a bundled corpus, or the name of a data set that `datasets` can load. Each
becomes one iterator over rows per split, so a corpus need not fit into memory. The
name of an existing file is taken literally, even if it contains wildcards.
"""

import glob
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from textvae.data import BUNDLED_CORPORA
from textvae.data.folders import (
    CorpusFile,
    FolderContents,
    describe_contents,
    describe_left_out,
    explain_nothing_to_read,
    read_folder,
)
from textvae.data.foreign_files import refuse_foreign_file
from textvae.data.row_report import RowNumbers
from textvae.data.split_names import SPLIT_NAMES
from textvae.data.split_settings import SplitSettings
from textvae.data.tables import (
    CORPUS_SUFFIXES,
    NUL_MESSAGE,
    CompressionError,
    LayoutError,
    Row,
    RowReader,
    TableSettings,
    explain_undecodable,
    get_format_suffix,
    join_texts,
    open_rows,
    split_chats,
)
from textvae.data.tables.class_names import find_class_names, name_classes
from textvae.errors import ConfigError, DataError, did_you_mean
from textvae.messages import print_note
from textvae.runtime.network import give_up_without_network
from textvae.runtime.paths import require_path

RowSource = Callable[[], Iterator[Row]]  # each call starts again at the first row

STANDARD_INPUT = "-"  # the name of a corpus

_STANDARD_INPUT_NAME = "standard input"  # in messages

WILD = "*?["  # the wildcards of patterns

_SPLITS = frozenset(SPLIT_NAMES.values())


class PlacedRow(NamedTuple):
    """A row, and where it is.

    Attributes:
        file: the file, as messages call it.
        number: the number of the row in the file, counted from 1.
        line: the line where the row begins; None for formats without lines.
        values: the row itself.
    """

    file: str
    number: int
    line: int | None
    values: Row


class FileSource:
    """The rows of several files, one file after another; each call starts again.

    Args:
        files: the files; standard input is "-".
        settings: how they are read.
    """

    def __init__(self, files: Collection[Path | CorpusFile], settings: TableSettings) -> None:
        self._files = [file if isinstance(file, CorpusFile) else CorpusFile(file) for file in files]
        self._settings = settings
        self._pipes_read: set[Path] = set()

    def __call__(self) -> Iterator[Row]:
        """Yield the rows."""
        return (row.values for row in self.iterate_places())

    def iterate_places(self) -> Iterator[PlacedRow]:
        """Yield the rows with their places.

        Raises:
            DataError: a file cannot be read, or is a pipe that has been read already.
        """
        is_only = len(self._files) == 1
        for corpus_file in self._files:
            file = corpus_file.path
            if is_pipe(file):
                if file in self._pipes_read:
                    raise DataError(
                        f"{file}: is a pipe, which can be read only once, and is needed again; "
                        "save what it holds as a file."
                    )
                self._pipes_read.add(file)
            for row in _read_file_rows(file, self._settings, is_only=is_only):
                if corpus_file.columns:
                    # A column of the file itself is preferred to one that a name gives.
                    row = row._replace(values={**corpus_file.columns, **row.values})
                yield row


def find_splits(
    corpus: str,
    settings: TableSettings,
    excluded: Collection[Path] = (),
    *,
    needs_training_split: bool = True,
) -> dict[str, RowSource]:
    """Return the rows of each split of a corpus.

    Files that are not named for a split belong to `train`, and so does a single file,
    whatever its name. For a folder, notes say what is read as which split, and what is not.

    Args:
        corpus: a file, a folder, a bundled corpus, the name of a data set on the Hub, or "-" for
            standard input.
        settings: how files are read.
        excluded: files that are not read with the folder, because the settings name them.
        needs_training_split: whether to refuse a folder without a training split.

    Raises:
        DataError: nothing with that name can be read.
    """
    path = resolve_path(corpus)
    if path.is_dir():
        contents = _open_folder(path, excluded)
        if needs_training_split and "train" not in contents.splits:
            raise DataError(
                f"{path}: contains {', '.join(sorted(contents.splits))} but nothing to train on; "
                "name a file train.txt, for instance."
            )
        _report_folder(corpus, contents, settings)
        return {split: FileSource(files, settings) for split, files in contents.splits.items()}
    if path.is_file() or is_pipe(path):
        if settings.format == "auto":
            refuse_foreign_file(path)
        return {"train": FileSource([path], settings)}
    refuse_missing_path(corpus)
    return _load_data_set_splits(corpus, settings)


def refuse_missing_path(corpus: str) -> None:
    """Refuse a corpus that does not exist, unless it may be a data set on the Hub.

    Raises:
        DataError: there is no such file or folder, and no data set can have this name.
    """
    path = resolve_path(corpus)
    if path.exists() or is_pipe(path):
        return
    # Names on the Hub are `name` or `owner/name`; anything else must have been meant as a path.
    if path.suffix or corpus.startswith((".", "/", "~")) or corpus.count("/") > 1:
        raise _build_missing_file_error(corpus, path)


def list_corpus_files(corpus: str) -> list[Path]:
    """Return the files of a corpus, sorted; none for a data set on the Hub or a missing file."""
    path = resolve_path(corpus)
    if path.is_dir():
        return [file.path for file in read_folder(path).list_files()]
    if path.is_file():
        return [path]
    return []


def list_training_files(corpus: str) -> list[Path]:
    """Return the files of a corpus's training split, in the order in which they are read."""
    path = resolve_path(corpus)
    if not path.is_dir():
        return list_corpus_files(corpus)
    return [file.path for file in read_folder(path).splits.get("train", [])]


def report_folder(corpus: str, settings: TableSettings, excluded: Collection[Path] = ()) -> None:
    """Print what in a folder is read as which split, and what is not.

    The arguments are those of `find_splits`.
    """
    path = resolve_path(corpus)
    if path.is_dir():
        _report_folder(corpus, _open_folder(path, excluded), settings)


def report_left_out(corpus: str) -> None:
    """Print what in the folder of a corpus is not read."""
    path = resolve_path(corpus)
    for note in describe_left_out(path, read_folder(path)):
        print_note(note)


def resolve_path(corpus: str) -> Path:
    """Return the path of a corpus.

    An existing file or folder is taken literally. Otherwise, the name of a bundled corpus means
    its folder, and `~` is the home folder.
    """
    path = require_path(corpus, "corpus")
    if path.exists():
        return path
    return Path(BUNDLED_CORPORA.get(corpus, path))


def is_pipe(path: str | Path) -> bool:
    """Return whether a path is standard input, a pipe or a device, which can be read only once."""
    path = Path(path)
    if path.is_file():
        return False
    return str(path) == STANDARD_INPUT or path.is_fifo() or path.is_char_device()


def explain_format_error(file: str | Path, reader: RowReader | None, error: Exception) -> str:
    """Return what is wrong with a file, where, and how to fix it.

    Args:
        reader: the reader of the file; None if the file could not be opened.
        error: what the reader raised.
    """
    line = reader.line if reader is not None else 0
    if isinstance(error, CompressionError):
        return f"{file}: its {error.kind} compression is damaged after line {line}: {error.reason}."
    if isinstance(error, OSError):
        return f"{file}: cannot be read: {error.strerror or error}."
    problem = explain_row_error(reader, error)
    if line == 0:
        return f"{file}: {problem}"
    return f"{file}, line {line}: {problem}"


def explain_row_error(reader: RowReader | None, error: Exception) -> str:
    """Return what is wrong with a row, and how to fix it, without the place of the row."""
    if isinstance(error, UnicodeDecodeError):
        return explain_undecodable(error, reader.encoding if reader is not None else "utf-8")
    if str(error) == NUL_MESSAGE:
        return f"{error}. Is it a text file with one sentence per line?"
    return str(error)


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


def _build_missing_file_error(corpus: str, path: Path) -> DataError:
    """Return the error for a missing file; it suggests a file of a similar name, if any."""
    if path.is_symlink():
        return DataError(f"{corpus}: is a link to {os.readlink(path)}, which does not exist.")
    neighbors: list[str] = []
    if path.parent.is_dir():
        neighbors = [other.name for other in path.parent.glob("*")]
    suggestion = did_you_mean(path.name, neighbors).strip()
    if suggestion:
        return DataError(f"{corpus}: there is no such file or folder; {suggestion}")
    return DataError(f"{corpus}: there is no such file or folder.")


def _report_folder(corpus: str, contents: FolderContents, settings: TableSettings) -> None:
    """Print what in a folder is read as which split, and what is not, unless it is a bundled one."""
    path = resolve_path(corpus)
    if str(path) not in BUNDLED_CORPORA.values():
        if corpus in BUNDLED_CORPORA:
            print_note(f"{corpus}: the folder of this name is read, and not the bundled corpus.")
        for note in describe_contents(path, contents, settings.unit):
            print_note(note)


def _open_folder(folder: Path, excluded: Collection[Path]) -> FolderContents:
    """Return what a folder holds, without excluded files.

    Raises:
        DataError: the folder has no file to read.
    """
    contents = read_folder(folder)
    contents.exclude(folder, excluded)
    if not contents.splits:
        suffixes = f"{', '.join(CORPUS_SUFFIXES)}, compressed or not"
        raise DataError(explain_nothing_to_read(folder, contents, suffixes))
    return contents


def _read_file_rows(file: Path, settings: TableSettings, *, is_only: bool) -> Iterator[PlacedRow]:
    """Yield a file's rows.

    Args:
        is_only: whether the corpus has no other file; it must then not be empty.

    Raises:
        DataError: the file cannot be opened, is empty, damaged, or not in its format; the
            message names the file and the line.
    """
    if str(file) == STANDARD_INPUT and not file.exists():
        if sys.stdin is None:
            raise DataError(
                "standard input is closed; name a file, or pipe sentences in, one per line."
            )
        yield from _read_rows(sys.stdin.buffer, _STANDARD_INPUT_NAME, "", settings, is_only=is_only)
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from error
    # The name of a link such as /dev/stdin may say less than that of its file.
    name = file.name if get_format_suffix(file.name) else file.resolve().name
    with stream:
        yield from _read_rows(stream, str(file), name, settings, is_only=is_only)


def _read_rows(
    stream: IO[bytes], shown: str, name: str, settings: TableSettings, *, is_only: bool
) -> Iterator[PlacedRow]:
    """Yield the rows of an open file.

    Args:
        stream: the bytes of the file.
        shown: the file as messages call it.
        name: the name that tells the format.
        settings: how the file is read.
        is_only: as for `_read_file_rows`.

    Raises:
        DataError: as for `_read_file_rows`.
    """
    reader: RowReader | None = None
    number = 0
    try:
        with open_rows(stream, name, settings) as reader:
            for number, record in enumerate(reader.records(), start=1):
                values = reader.row(record)
                yield PlacedRow(shown, number, reader.line or None, values)
    except DataError:
        raise
    except Exception as error:  # each library raises errors of its own, without a common base
        raise DataError(explain_format_error(shown, reader, error)) from error
    if reader.blank_lines.count:
        _report_blank_lines(shown, reader.blank_lines)
    for note in reader.notes:
        print_note(f"{shown}: {note}")
    if reader.line == 0 and reader.has_lines:
        if is_only:
            raise DataError(f"{shown}: is empty; expected one sentence per line.")
        print_note(f"{shown}: is empty.")  # as parts of the output of a job may be


def _report_blank_lines(file: str, blank_lines: RowNumbers) -> None:
    """Print a note about the blank lines of a table, which are not counted as rows."""
    lines = "1 blank line is not a row"
    if blank_lines.count > 1:
        lines = f"{blank_lines.count:,} blank lines are not rows"
    print_note(f"{file}: {lines} ({blank_lines}); rows are counted without them.")


def _load_data_set_splits(name: str, settings: TableSettings) -> dict[str, RowSource]:
    """Return the rows of each split of a data set, named `name` or `name:config` on the Hub.

    Raises:
        ConfigError: an option of files is set.
        DataError: the data set cannot be loaded, or has no training split.
    """
    from datasets import load_dataset  # slow to import, and most corpora are files

    # The files of splits that the settings name are read as the options say.
    names_files = isinstance(settings, SplitSettings) and settings.name_splits()
    if settings.needs_shape and settings.changed_file_options and not names_files:
        key = settings.changed_file_options[0]
        raise ConfigError(
            f"data.{key} = {getattr(settings, key)!r} is for files, and {name} is a data set of the "
            "Hub; leave it out."
        )
    # Streaming: the data set need not fit on the disk.
    path, _, config = name.partition(":")
    try:
        with give_up_without_network():
            streams: Mapping[str, Any] = load_dataset(path, config or None, streaming=True)
    except Exception as error:  # network, Hub and builder errors have no common base
        # Some of these errors have no message, others many lines.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if "OfflineModeIsEnabled" in reason:
            reason = "the Hub cannot be reached from this machine"
        raise DataError(
            f"{name}: is not a file, a folder or a bundled corpus ({', '.join(BUNDLED_CORPORA)}), "
            f"and `datasets` cannot load it: {reason}"
        ) from error
    splits = {SPLIT_NAMES.get(split, split): split for split in streams}
    if "train" not in splits:
        raise DataError(f"{name}: has the splits {', '.join(streams)} but none called train.")
    others = [their_name for split, their_name in splits.items() if split not in _SPLITS]
    if others:
        print_note(f"{name}: not read: the splits {', '.join(others)}.")
    return {
        split: _build_data_set_source(streams[their_name], settings)
        for split, their_name in splits.items()
        if split in _SPLITS  # not an `unsupervised` split, say
    }


def _build_data_set_source(stream: Any, settings: TableSettings) -> RowSource:
    """Return a source of the rows of one split of a data set."""
    needs_chats = settings.role is not None and settings.needs_shape

    def read() -> Iterator[Row]:
        rows = iter(name_classes(stream, find_class_names(stream.features)))
        if settings.join_columns:
            return iterate_joined(rows, settings)
        return split_chats(rows, settings.text_column, settings.role, needs_chats=needs_chats)

    return read


def iterate_joined(rows: Iterable[Row], settings: TableSettings) -> Iterator[Row]:
    """Yield rows that do not come from a file, with the texts of several columns joined.

    Raises:
        DataError: a row lacks one of the columns.
    """
    for number, row in enumerate(rows, start=1):
        try:
            yield join_texts(row, settings)
        except LayoutError as error:
            raise DataError(f"row {number}: {error}") from None
