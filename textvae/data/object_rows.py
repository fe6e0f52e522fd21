"""The rows of a corpus that is passed as a Python object: sentences, a table, or splits of them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource, iterate_joined
from textvae.data.split_names import SPLIT_NAMES
from textvae.data.table_options import explain_options_unused_by_rows
from textvae.data.tables import TableSettings, split_chats
from textvae.data.texts import (
    is_table,
    iterate_column_rows,
    iterate_table_rows,
    require_columns,
    require_texts,
)
from textvae.errors import ConfigError, DataError
from textvae.messages import print_note


def read_object_rows(
    corpus: Any, settings: DataSettings, written: Collection[str] | None = None
) -> dict[str, RowSource]:
    """Return the rows of each split of a corpus that is passed as a Python object.

    Args:
        corpus: sentences; a table (a DataFrame, a data set, or a mapping from the names of
            columns to their values); or a mapping from splits to any of these.
        settings: names the columns of a table that hold the sentences.
        written: the names of the settings that the user wrote for this corpus; None for all. An
            option without effect is refused if it is among them. Otherwise it comes from a config
            that may be shared with a corpus in a file, and a note says that it has no effect.

    Raises:
        ConfigError: the settings name another corpus, or an option has no effect on this one.
        DataError: the corpus is something else, or one of its splits is.
    """
    if settings.corpus is not None:
        raise ConfigError(
            f"data.corpus = {settings.corpus!r} names a corpus, and another one is passed as a "
            "Python object; leave one of the two out."
        )
    parts: Mapping[Any, Any] = {"train": corpus}
    if isinstance(corpus, Mapping) and _has_split_names(corpus):
        parts = corpus
    rows = {
        SPLIT_NAMES[split]: _split_chats(_read_split_rows(split, part, settings), settings)
        for split, part in parts.items()
    }
    has_columns = any(is_table(part) or isinstance(part, Mapping) for part in parts.values())
    unused = explain_options_unused_by_rows(settings, has_columns=has_columns)
    refused = [reason for name, reason in unused.items() if written is None or name in written]
    if refused:
        raise ConfigError(*(f"{reason}; leave it out." for reason in refused))
    for reason in unused.values():
        print_note(f"{reason}, so it has no effect.")
    return rows


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


def _split_chats(rows: RowSource, settings: DataSettings) -> RowSource:
    """Return a source of the messages of chats if the settings choose a role.

    Its rows raise a DataError if they are no chats.
    """
    if settings.role is None:
        return rows
    return lambda: split_chats(rows(), settings.text_column, settings.role, needs_chats=True)


def _join_columns(rows: RowSource, settings: TableSettings) -> RowSource:
    """Return a source of the same rows with the texts of several columns joined, if asked."""
    if not settings.join_columns:
        return rows
    return lambda: iterate_joined(rows(), settings)
