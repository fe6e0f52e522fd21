"""Labelled sentences: a table with a column of texts and others beside it, and the labels of a corpus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from textvae.arrow import BLOCK
from textvae.corpus import text_of
from textvae.errors import DataError
from textvae.labels import Labels
from textvae.sources import find_splits
from textvae.tables import Quoting


def read_labelled(file: str, text_column: str, quoting: Quoting, label_column: str) -> tuple[list[str], list[Any]]:
    """Return the texts of a table and their labels, as they stand there; rows with a blank text are left out.

    Raises:
        DataError: there is no such column, or no text.
    """
    texts, columns = read_columns(file, text_column, quoting, [label_column])
    return texts, columns[label_column]


def read_columns(
    file: str, text_column: str, quoting: Quoting, names: Sequence[str]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the texts of a table and the columns of these names; rows with a blank text are left out.

    Raises:
        DataError: there is no such column, or no text.
    """
    texts: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for number, row in enumerate(find_splits(file, text_column, quoting)["train"](), start=1):
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


def found_labels(column: str, splits: Mapping[str, Dataset]) -> Labels:
    """Return the labels of the training sentences, most frequent first.

    Raises:
        DataError: there is one label, or nearly one a sentence, or a held-out sentence has one of its own.
    """
    found = {split: counted(dataset, column) for split, dataset in splits.items()}
    train = found["train"]
    if len(train) == 1:
        raise DataError(f"data.label = {column!r}: all sentences are {next(iter(train))!r}; wanted are two labels.")
    if 2 * len(train) > train.total():
        raise DataError(
            f"data.label = {column!r}: {len(train)} labels for {train.total()} training sentences; "
            "wanted is a column of few labels, each of many sentences."
        )
    for split, counts in found.items():
        if unseen := sorted(counts.keys() - train.keys()):
            raise DataError(
                f"data.label = {column!r}: no training sentence is {unseen[0]!r}, but one of {split} is; "
                "give more of that label, or leave it out."
            )
    ranked = sorted(train.items(), key=lambda entry: (-entry[1], entry[0]))
    return Labels(column, tuple(name for name, _ in ranked), tuple(count for _, count in ranked))


def counted(dataset: Dataset, column: str) -> Counter[str]:
    """Return how many sentences each label has."""
    counts: Counter[str] = Counter()
    for block in dataset.select_columns([column]).iter(BLOCK):
        counts.update(block[column])
    return counts
