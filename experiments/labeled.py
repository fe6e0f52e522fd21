"""Labeled corpora for the experiments.

A corpus is a folder with two files for each split: SPLIT.txt has one text per line,
and SPLIT.labels has the label of the text on the same line.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SENTENCES = 700  # taken from the training split if there is no third split
OUT_OF_SCOPE = "oos"  # CLINC150's label for sentences that belong to no class


@dataclass(frozen=True)
class Split:
    """Texts and their labels, (n,)."""

    texts: list[str]
    labels: NDArray[np.str_]

    def select(self, indices: NDArray[np.int_]) -> "Split":
        """Return the texts with these indices."""
        return Split([self.texts[index] for index in indices], self.labels[indices])


def read_split(folder: Path, name: str) -> Split:
    """Return one split, without the sentences that have no class."""
    texts = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    lines = (folder / f"{name}.labels").read_text(encoding="utf-8").split("\n")
    labels = np.array(lines[: len(texts)])
    return Split(texts, labels).select(np.flatnonzero(labels != OUT_OF_SCOPE))


def read_corpus(folder: Path) -> tuple[Split, Split, Split]:
    """Return the splits training, validation and test.

    If the folder has no test split, `valid` is the test split, and random training
    sentences become the validation split.
    """
    train = read_split(folder, "train")
    if (folder / "test.txt").is_file():
        return train, read_split(folder, "valid"), read_split(folder, "test")
    order = np.random.default_rng(0).permutation(len(train.texts))
    return (
        train.select(order[HELD_OUT_SENTENCES:]),
        train.select(order[:HELD_OUT_SENTENCES]),
        read_split(folder, "valid"),
    )


def draw_indices(labels: NDArray[np.str_], count: int, seed: int) -> NDArray[np.int_]:
    """Return the indices of `count` random texts of each class."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([random.permutation(indices)[:count] for indices in members])
