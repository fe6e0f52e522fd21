"""The rows of a corpus that is passed as a Python object: sentences, a table, or splits of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textvae.data.sources import RowSource
from textvae.data.split_names import SPLIT_NAMES
from textvae.data.tables import LayoutError, Row, TableSettings, join_texts
from textvae.data.texts import (
    is_table,
    iterate_column_rows,
    iterate_table_rows,
    require_columns,
    require_texts,
)
from textvae.errors import DataError


def read_object_rows(corpus: Any, settings: TableSettings) -> dict[str, RowSource]:
    """Return the rows of each split of a corpus that is passed as a Python object.

    Args:
        corpus: sentences; a table (a DataFrame, a data set, or a mapping from the names of
            columns to their values); or a mapping from splits to any of these.
        settings: names the columns of a table that hold the sentences.

    Raises:
        DataError: the corpus is something else, or one of its splits is.
    """
    if not isinstance(corpus, Mapping) or not _has_split_names(corpus):
        return {"train": _read_split_rows("train", corpus, settings)}
    return {
        SPLIT_NAMES[split]: _read_split_rows(split, part, settings)
        for split, part in corpus.items()
    }


def _has_split_names(corpus: Mapping[Any, Any]) -> bool:
    """Return whether the keys of a mapping name splits, and not the columns of a table."""
    return "train" in corpus and all(split in SPLIT_NAMES for split in corpus)


def _read_split_rows(split: str, part: Any, settings: TableSettings) -> RowSource:
    """Return the rows of one split that is passed as a Python object.

    Raises:
        DataError: the split is a string, has no text column, or is not a corpus at all.
    """
    if isinstance(part, str | Path):
        raise DataError(
            f"the split {split!r} is the string {str(part)[:60]!r}; expected sentences or a table. "
            "To train on files, give the name of their folder."
        )
    if is_table(part):
        return _join_columns(lambda: iterate_table_rows(part), settings)
    if isinstance(part, Mapping):
        if not set(settings.text_columns) <= set(part):
            names = " and ".join(map(repr, settings.text_columns))
            keys = ", ".join(str(key)[:40] for key in list(part)[:10])
            raise DataError(
                f"the mapping has the keys {keys}; expected splits (train, validation, test) or "
                f"columns, {names} among them (data.text_column)."
            )
        columns = require_columns(part)
        return _join_columns(lambda: iterate_column_rows(columns), settings)
    sentences = require_texts(part)
    return lambda: ({settings.text_column: sentence} for sentence in sentences)


def _join_columns(rows: RowSource, settings: TableSettings) -> RowSource:
    """Return a source of the same rows with the texts of several columns joined, if asked."""
    if not settings.join_columns:
        return rows

    def join_rows() -> Iterator[Row]:
        for number, row in enumerate(rows(), start=1):
            try:
                yield join_texts(row, settings)
            except LayoutError as error:
                raise DataError(f"row {number}: {error}") from None

    return join_rows
