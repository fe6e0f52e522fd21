"""The labels of a corpus: collected from its sentences, counted, and checked."""

from collections import Counter
from collections.abc import Mapping

from datasets import Dataset

from textvae.data.arrow import ROWS_PER_BLOCK
from textvae.data.labels import Labels, check_spelling
from textvae.errors import DataError


def collect_labels(column: str, splits: Mapping[str, Dataset]) -> Labels:
    """Return the labels of the training sentences, most frequent first.

    Args:
        column: the name of the column that holds the labels.
        splits: the tokenized splits.

    Raises:
        DataError: there is only one label, there are fewer than two sentences per label,
            two labels are one number in two spellings, or a held-out sentence has a label
            that no training sentence has.
    """
    counts = {split: _count_labels(dataset, column) for split, dataset in splits.items()}
    train = counts["train"]
    check_spelling(set[str]().union(*counts.values()))
    if len(train) == 1:
        raise DataError(
            f"data.label = {column!r}: all sentences have the label {next(iter(train))!r}; "
            "at least two labels are needed."
        )
    if 2 * len(train) > train.total():
        raise DataError(
            f"data.label = {column!r}: {len(train)} labels for {train.total()} training sentences; "
            "expected a column of few labels, each of many sentences."
        )
    for split, split_counts in counts.items():
        unseen = sorted(split_counts.keys() - train.keys())
        if unseen:
            raise DataError(
                f"data.label = {column!r}: no training sentence has the label {unseen[0]!r}, "
                f"but one of the {split} split does; add training sentences with that label, or "
                "leave it out."
            )
    # Ties are broken by name, so that ids do not depend on the order of the sentences.
    ranked = sorted(train.items(), key=lambda entry: (-entry[1], entry[0]))
    names = tuple(name for name, _ in ranked)
    return Labels(column, names, tuple(count for _, count in ranked))


def _count_labels(dataset: Dataset, column: str) -> Counter[str]:
    """Return the number of sentences per label."""
    counts: Counter[str] = Counter()
    for block in dataset.select_columns([column]).iter(ROWS_PER_BLOCK):
        counts.update(block[column])
    return counts
