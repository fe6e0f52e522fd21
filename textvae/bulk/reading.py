"""Find the files of a corpus and read the rows of a unit.

Rows keep their numbers, counted from 1 within their file, so that results can
be joined to their source; blank rows are left out.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from textvae.bulk.units import Unit
from textvae.data.corpus import extract_text
from textvae.data.sources import (
    STANDARD_INPUT,
    WILD,
    FileSource,
    fixed_part,
    is_pipe,
    list_corpus_files,
    match_pattern,
    report_left_out,
    resolve_path,
)
from textvae.data.tables import CORPUS_SUFFIXES, TableSettings
from textvae.data.tables.chats import find_chat_column
from textvae.errors import DataError
from textvae.runtime.paths import require_path


def names_many_files(corpus: str) -> bool:
    """Return whether a corpus is a folder or a pattern, rather than one file."""
    path = require_path(corpus, "corpus")
    if path.is_dir():
        return True
    # A file whose own name has a `*` or a `[` is not a pattern.
    return not path.is_file() and any(character in corpus for character in WILD)


def find_corpus_files(corpus: str) -> tuple[Path, list[str]]:
    """Return a folder, and the names of all files of a corpus, relative to that folder.

    Args:
        corpus: a file, a folder, a pattern (`**` matches any folders) or a bundled corpus.

    Raises:
        DataError: no file was found, or the corpus is standard input or another pipe.
    """
    path = resolve_path(corpus)
    if is_pipe(path):
        name = "standard input" if corpus == STANDARD_INPUT else f"{corpus}: a pipe"
        raise DataError(
            f"{name} cannot be processed in shards, because a job that continues must read "
            "its input again; name a file."
        )
    if path.is_file():
        return path.parent, [path.name]
    if path.is_dir():
        root = path
        files = list_corpus_files(corpus)
        report_left_out(corpus)
    else:
        root = fixed_part(path)
        files = match_pattern(path)
    if not files:
        raise DataError(
            f"{corpus}: no file to read was found; expected {', '.join(CORPUS_SUFFIXES)}, "
            "compressed or not."
        )
    return root, sorted(file.relative_to(root).as_posix() for file in files)


def count_rows(file: Path, settings: TableSettings) -> int:
    """Return the number of rows of a file, blank ones included.

    The file is read completely, so that damage is found before the work begins.
    A Parquet file stores its row count, so only its first row is read, unless that is a chat,
    each of whose messages is a row.

    Raises:
        DataError: the file is damaged, or its column is not text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if settings.join_columns or not _is_parquet(file):
        return sum(1 for _ in _iterate_texts(file, settings))
    try:
        table = pq.ParquetFile(file)
        # Read one row, not one row group: damage further on must not stop the planning. It is
        # found later, when its unit is read.
        first = next(table.iter_batches(batch_size=1), None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file}: cannot be read as parquet: {error}") from error
    if first is not None:
        row = first.to_pylist()[0]
        if find_chat_column(row, settings.text_column) is not None:
            return sum(1 for _ in _iterate_texts(file, settings))
        _require_sentence(file, row, settings.text_column, 1)
    return int(table.metadata.num_rows)


def _is_parquet(file: Path) -> bool:
    """Return whether a file is named and begins as a Parquet file."""
    with file.open("rb") as stream:
        return file.suffix.lower() == ".parquet" and stream.read(4) == b"PAR1"


class UnitReader:
    """Reads the rows of one unit after another.

    A file can only be read forwards. Units in order need a single pass over it; for an
    earlier unit, the file is read again from its beginning.

    Args:
        root: the folder of the corpus; the names of files in units are relative to it.
        settings: how the files are read.
    """

    def __init__(self, root: Path, settings: TableSettings) -> None:
        self.root = root
        self.settings = settings
        self.file: str | None = None
        self.next_row = 0
        self.texts: Iterator[str] = iter(())

    def __call__(self, unit: Unit) -> list[tuple[int, str]]:
        """Return row number and sentence of each row of a unit that is not blank.

        Row numbers are counted from 1 within the file.

        Raises:
            DataError: the file is damaged, or has become shorter.
        """
        assert unit.file is not None
        if unit.file != self.file or unit.first_row < self.next_row:
            self.file = unit.file
            self.next_row = 0
            self.texts = _iterate_texts(self.root / unit.file, self.settings)
        skipped = unit.first_row - self.next_row
        block = list(islice(self.texts, skipped, skipped + unit.rows))
        self.next_row = unit.first_row + unit.rows
        if len(block) < unit.rows:
            raise DataError(
                f"{self.root / unit.file}: has fewer rows than when the work began; "
                "restore the file."
            )
        numbered = enumerate(block, start=unit.first_row + 1)
        return [(number, text) for number, text in numbered if text.strip()]


def _iterate_texts(file: Path, settings: TableSettings) -> Iterator[str]:
    """Yield all sentences of a file, blank ones included.

    Raises:
        DataError: the file is damaged, or its column is not text; file and row are named.
    """
    for row in FileSource([file], settings).iterate_places():
        text = _require_sentence(file, row.values, settings.text_column, row.number)
        yield text if settings.white_space == "keep" else text.strip()


def _require_sentence(file: Path, row: dict[str, Any], column: str, number: int) -> str:
    """Return the sentence of a row, which may be blank.

    Raises:
        DataError: the column is missing or not text; file and row are named.
    """
    try:
        return extract_text(row, column, number)
    except DataError as error:
        # The message names `data.text_column`, the setting of a run. Bulk jobs have an option.
        raise DataError(f"{file}: {error} In a bulk job, use --text-column.") from None
