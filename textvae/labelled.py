"""Labelled sentences: a table with a column of texts and others beside it."""

from collections.abc import Sequence
from typing import Any

from textvae.corpus import text_of
from textvae.errors import DataError
from textvae.sources import find_splits


def read_labelled(file: str, text_column: str, label_column: str) -> tuple[list[str], list[Any]]:
    """Return the texts of a table and their labels, as they stand there; rows with a blank text are left out.

    Raises:
        DataError: there is no such column, or no text.
    """
    texts, columns = read_columns(file, text_column, [label_column])
    return texts, columns[label_column]


def read_columns(file: str, text_column: str, names: Sequence[str]) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the texts of a table and the columns of these names; rows with a blank text are left out.

    Raises:
        DataError: there is no such column, or no text.
    """
    texts: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for number, row in enumerate(find_splits(file, text_column)["train"](), start=1):
        for name in names:
            if name not in row:
                there = ", ".join(row)
                raise DataError(f"{file}: there is no column {name!r} of labels; there are {there}. Name another.")
        if text := text_of(row, text_column, number).strip():
            texts.append(text)
            for name in names:
                columns[name].append(row[name])
    if not texts:
        raise DataError(f"{file}: holds no sentence.")
    return texts, columns
