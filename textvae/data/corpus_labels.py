"""Labelled sentences: the labels of a corpus, counted."""

from collections import Counter
from collections.abc import Mapping

from datasets import Dataset

from textvae.data.arrow import ROWS_PER_BLOCK
from textvae.data.labels import Labels, check_spelling
from textvae.errors import DataError


def collect_labels(column: str, splits: Mapping[str, Dataset]) -> Labels:
    """Return the labels of the training sentences, most frequent first.

    Raises:
        DataError: there is one label, or nearly one a sentence, or a held-out sentence has one of its own.
    """
    found = {split: _count_labels(dataset, column) for split, dataset in splits.items()}
    train = found["train"]
    check_spelling(name for counts in found.values() for name in counts)
    if len(train) == 1:
        raise DataError(
            f"data.label = {column!r}: all sentences are {next(iter(train))!r}; wanted are two labels."
        )
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


def _count_labels(dataset: Dataset, column: str) -> Counter[str]:
    """Return how many sentences each label has."""
    counts: Counter[str] = Counter()
    for block in dataset.select_columns([column]).iter(ROWS_PER_BLOCK):
        counts.update(block[column])
    return counts
