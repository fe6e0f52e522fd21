"""Reading: the files of a corpus, and the rows of a unit.

Rows keep their numbers, counted from 1 within their file, so that results can
be joined to where they came from; blank rows are left out.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from textvae.bulk.units import Unit
from textvae.data.corpus import extract_text
from textvae.data.sources import (
    CORPUS_SUFFIXES,
    WILD,
    fixed_part,
    list_corpus_files,
    match_pattern,
    resolve_path,
    source_from_files,
)
from textvae.data.tables import Quoting
from textvae.errors import DataError


def names_many_files(corpus: str) -> bool:
    """Whether the name means a folder or a pattern, rather than one file."""
    return Path(corpus).is_dir() or (
        not Path(corpus).is_file() and any(sign in corpus for sign in WILD)
    )


def find_corpus_files(corpus: str) -> tuple[Path, list[str]]:
    """Return a folder and the names of its files that a path, a pattern (`**` means any folders) or a corpus names.

    Raises:
        DataError: there is none.
    """
    if corpus == "-":
        raise DataError(
            "standard input cannot be worked on in shards, which go on where they stopped; name a file."
        )
    path = resolve_path(corpus)
    if path.is_file():
        return path.parent, [path.name]
    if path.is_dir():
        root, found = path, list_corpus_files(corpus)
    else:
        root = fixed_part(path)
        found = match_pattern(path)
    if not found:
        raise DataError(
            f"{corpus}: no file to read is found there; wanted are {', '.join(CORPUS_SUFFIXES)}, gzipped or not."
        )
    return root, sorted(file.relative_to(root).as_posix() for file in found)


def _iterate_texts(file: Path, column: str, quoting: Quoting = "auto") -> Iterator[str]:
    """Yield a file's sentences, blank ones too.

    Raises:
        DataError: the file is damaged, or its column is no text; file and row are named.
    """
    for number, row in enumerate(source_from_files([file], column, quoting)(), start=1):
        yield _require_sentence(file, row, column, number)


def _require_sentence(file: Path, row: dict[str, Any], column: str, number: int) -> str:
    """Return a row's sentence, which may be blank.

    Raises:
        DataError: the column is no text; file and row are named.
    """
    try:
        return extract_text(row, column, number).strip()
    except DataError as error:
        raise DataError(f"{file}: {error} (Here: --text-column.)") from None


def count_rows(file: Path, column: str, quoting: Quoting = "auto") -> int:
    """Return how many rows a file has; but for Parquet it is read whole, so that damage shows before work begins."""
    if file.suffix.lower() != ".parquet":
        return sum(1 for _ in _iterate_texts(file, column, quoting))
    try:
        table = pq.ParquetFile(file)
        first = next(
            table.iter_batches(batch_size=1), None
        )  # of the first group alone: no damage further on is met
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file}: cannot be read as parquet: {error}") from error
    if first is not None:
        _require_sentence(file, first.to_pylist()[0], column, 1)
    return int(table.metadata.num_rows)


class UnitReader:
    """Reads units; within a file ever onwards, so that units in their order cost one pass over it."""

    def __init__(self, root: Path, column: str, quoting: Quoting = "auto") -> None:
        self.root, self.column, self.quoting = root, column, quoting
        self.file: str | None = None
        self.place = 0
        self.flow: Iterator[str] = iter(())

    def __call__(self, unit: Unit) -> list[tuple[int, str]]:
        """Return the row numbers and sentences of a unit, blank ones left out.

        Raises:
            DataError: the file is damaged, or has become shorter.
        """
        assert unit.file is not None
        if unit.file != self.file or unit.first < self.place:
            self.file, self.place, self.flow = (
                unit.file,
                0,
                _iterate_texts(self.root / unit.file, self.column, self.quoting),
            )
        ahead = unit.first - self.place
        block = list(islice(self.flow, ahead, ahead + unit.rows))
        self.place = unit.first + unit.rows
        if len(block) < unit.rows:
            raise DataError(
                f"{self.root / unit.file}: has fewer rows than when the work began; restore it."
            )
        return [(unit.first + place, text) for place, text in enumerate(block, start=1) if text]
