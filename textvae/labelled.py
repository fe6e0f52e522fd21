"""Labelled sentences: a table with a column of texts and one of labels."""

from typing import Any

from textvae.corpus import text_of
from textvae.errors import DataError
from textvae.sources import find_splits


def read_labelled(file: str, text_column: str, label_column: str) -> tuple[list[str], list[Any]]:
    """Return the texts of a table and their labels, as they stand there; rows with a blank text are left out.

    Raises:
        DataError: there is no such column, or no text.
    """
    texts, labels = [], []
    for number, row in enumerate(find_splits(file, text_column)["train"](), start=1):
        if label_column not in row:
            there = ", ".join(row)
            raise DataError(f"{file}: there is no column {label_column!r} of labels; there are {there}. Name another.")
        if text := text_of(row, text_column, number).strip():
            texts.append(text)
            labels.append(row[label_column])
    if not texts:
        raise DataError(f"{file}: holds no sentence.")
    return texts, labels
