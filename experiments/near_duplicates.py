"""Measure how near the bundled test captions are to the training captions.

    python experiments/near_duplicates.py

The bundle is divided by caption, and COCO has five captions per picture, so captions of
one picture are on both sides. There are no ids of pictures, so only the words can be
compared. For each threshold, the script prints the share of test captions whose nearest
training caption, by the Jaccard similarity of the sets of words, is at least as similar,
and the share of random pairs of training captions. The edit similarity, 2 M / T with M
words in common order and T words in both, is that of the same pairs. It takes seconds.
"""

import gzip
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from textvae.data import BUNDLED_CORPORA

THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
RANDOM_PAIRS = 500_000


def read_words(split: str) -> list[list[str]]:
    """Return the lower-case words of each caption of a split."""
    file = Path(BUNDLED_CORPORA["captions"]) / f"{split}.txt.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [re.findall(r"[a-z0-9']+", line.lower()) for line in lines if line.strip()]


def find_nearest(
    captions: Sequence[Sequence[str]], others: Sequence[Sequence[str]]
) -> list[tuple[float, int]]:
    """Return the highest Jaccard similarity of each caption with another, and the other's row."""
    rows_of_word = defaultdict(list)
    for row, words in enumerate(others):
        for word in set(words):
            rows_of_word[word].append(row)
    sizes = np.array([len(set(words)) for words in others])
    nearest = []
    for words in captions:
        rows = [row for word in set(words) for row in rows_of_word.get(word, [])]
        shared = np.bincount(rows, minlength=len(others))
        similarity = shared / (sizes + len(set(words)) - shared)
        row = int(similarity.argmax())
        nearest.append((float(similarity[row]), row))
    return nearest


def compute_jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of two captions' words that both have."""
    return len({*one} & {*other}) / len({*one} | {*other})


def compute_edit_similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """Return twice the number of words in common order over that of all words."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def print_shares(title: str, similarities: Sequence[float]) -> None:
    """Print the share of similarities that reach each threshold."""
    values = np.array(similarities)
    shares = [f"{np.mean(values >= threshold - 1e-9):10.4%}" for threshold in THRESHOLDS]
    print(f"{title:40}", *shares)


def main() -> None:
    """Print the table."""
    train = read_words("train")
    test = read_words("test")
    nearest = find_nearest(test, train)
    generator = random.Random(0)
    pairs = [generator.sample(train, 2) for _ in range(RANDOM_PAIRS)]
    print(f"{'at least':40}", *(f"{threshold:10}" for threshold in THRESHOLDS))
    print_shares("test, nearest in training: Jaccard", [value for value, _ in nearest])
    edits = [
        compute_edit_similarity(words, train[row])
        for words, (_, row) in zip(test, nearest, strict=True)
    ]
    print_shares("test, nearest in training: edit", edits)
    print_shares("random training pairs: Jaccard", [compute_jaccard(*pair) for pair in pairs])
    edits = [compute_edit_similarity(*pair) for pair in pairs[: RANDOM_PAIRS // 10]]
    print_shares("random training pairs: edit", edits)


if __name__ == "__main__":
    main()
