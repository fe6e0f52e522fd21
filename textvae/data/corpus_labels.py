"""The labels of a corpus: collected from its sentences, counted, and checked."""

from collections import Counter
from collections.abc import Collection, Mapping

from datasets import Dataset

from textvae.data.arrow import ROWS_PER_BLOCK
from textvae.data.labels import Labels, check_spelling
from textvae.data.tables import is_number
from textvae.errors import DataError

_MAX_NUMBERS = 12  # labels that are numbers, unless they count the classes: those of a scale, say


def collect_labels(column: str, splits: Mapping[str, Dataset]) -> Labels:
    """Return the labels of the training sentences, most frequent first.

    Args:
        column: the name of the column that holds the labels.
        splits: the tokenized splits.

    Raises:
        DataError: there is only one label, there are fewer than two sentences per label,
            the labels are values of a quantity, two labels are one number in two spellings, or
            a held-out sentence has a label that no training sentence has.
    """
    counts = {split: _count_labels(dataset, column) for split, dataset in splits.items()}
    train = counts["train"]
    check_spelling(set[str]().union(*counts.values()))
    if len(train) == 1:
        raise DataError(
            f"data.label = {column!r}: all sentences have the label {next(iter(train))!r}; "
            "at least two labels are needed."
        )
    _refuse_quantity(column, train)
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


def _refuse_quantity(column: str, names: Collection[str]) -> None:
    """Refuse labels that are many different numbers: each would be a class of its own.

    The ids of classes are numbers as well, but they are counted from 0 or 1 without gaps.

    Raises:
        DataError: the labels are values of a quantity.
    """
    if len(names) <= _MAX_NUMBERS or not all(map(is_number, names)):
        return
    numbers = sorted(map(float, names))
    are_counted = numbers == [numbers[0] + index for index in range(len(numbers))]
    if are_counted and numbers[0] in (0, 1):
        return
    raise DataError(
        f"data.label = {column!r}: {len(names)} different numbers from {numbers[0]:g} to "
        f"{numbers[-1]:g}, and each would be a class of its own. Put them into a few bins first, "
        "such as low and high; or leave data.label out, and find the direction along which "
        f"the number grows with: textvae attribute fit RUN TABLE --label-column {column} --name NAME"
    )


def _count_labels(dataset: Dataset, column: str) -> Counter[str]:
    """Return the number of sentences per label."""
    counts: Counter[str] = Counter()
    for block in dataset.select_columns([column]).iter(ROWS_PER_BLOCK):
        counts.update(block[column])
    return counts
