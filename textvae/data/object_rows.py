"""The rows of a corpus that is passed as a Python object: sentences, a table, or splits of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.data.sources import SPLIT_NAMES, RowSource
from textvae.data.texts import (
    is_table,
    iterate_column_rows,
    iterate_table_rows,
    require_columns,
    require_texts,
)
from textvae.errors import DataError


def read_object_rows(corpus: Any, text_column: str) -> dict[str, RowSource]:
    """Return the rows of each split of a corpus that is passed as a Python object.

    Args:
        corpus: sentences; a table (a DataFrame, a data set, or a mapping from the names of
            columns to their values); or a mapping from splits to any of these.
        text_column: the column of a table that holds the sentences.

    Raises:
        DataError: the corpus is something else, or one of its splits is.
    """
    if not isinstance(corpus, Mapping) or not _has_split_names(corpus):
        return {"train": _read_split_rows("train", corpus, text_column)}
    return {
        SPLIT_NAMES[split]: _read_split_rows(split, part, text_column)
        for split, part in corpus.items()
    }


def _has_split_names(corpus: Mapping[Any, Any]) -> bool:
    """Return whether the keys of a mapping name splits, and not the columns of a table."""
    return "train" in corpus and all(split in SPLIT_NAMES for split in corpus)


def _read_split_rows(split: str, part: Any, text_column: str) -> RowSource:
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
        return lambda: iterate_table_rows(part)
    if isinstance(part, Mapping):
        if text_column not in part:
            keys = ", ".join(str(key)[:40] for key in list(part)[:10])
            raise DataError(
                f"the mapping has the keys {keys}; expected splits (train, validation, test) or "
                f"columns, {text_column!r} among them (data.text_column)."
            )
        columns = require_columns(part)
        return lambda: iterate_column_rows(columns)
    sentences = require_texts(part)
    return lambda: ({text_column: sentence} for sentence in sentences)
