"""Labelled corpora for the benchmarks: folders of SPLIT.txt and SPLIT.labels, a line a sentence in both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 700  # of the training split, where there is no third split
OUT_OF_SCOPE = "oos"  # CLINC150's sentences of no class


@dataclass(frozen=True)
class Split:
    """Texts, and their labels, (n,)."""

    texts: list[str]
    labels: NDArray[np.str_]

    def at(self, places: NDArray[np.int_]) -> "Split":
        """Return the texts at these places."""
        return Split([self.texts[place] for place in places], self.labels[places])


def read_split(folder: Path, name: str) -> Split:
    """Read one split, sentences of no class left out."""
    texts = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    labels = np.array(
        (folder / f"{name}.labels").read_text(encoding="utf-8").split("\n")[: len(texts)]
    )
    whole = Split(texts, labels)
    return whole.at(np.flatnonzero(labels != OUT_OF_SCOPE))


def read_corpus(folder: Path) -> tuple[Split, Split, Split]:
    """Return training, validation and test; where there is no test split, valid is it, and validation is drawn."""
    train = read_split(folder, "train")
    if (folder / "test.txt").is_file():
        return train, read_split(folder, "valid"), read_split(folder, "test")
    order = np.random.default_rng(0).permutation(len(train.texts))
    return train.at(order[HELD_OUT:]), train.at(order[:HELD_OUT]), read_split(folder, "valid")


def draw(labels: NDArray[np.str_], count: int, seed: int) -> NDArray[np.int_]:
    """Return the places of `count` texts a class, by chance."""
    random = np.random.default_rng(seed)
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([random.permutation(place)[:count] for place in places])
