"""Diversity: distinct-n, the share of n-grams that are different ones (Li et al. 2016, arXiv:1510.03055).

It falls as more is written: compare at equal numbers of samples. N-grams are of
white-space words and do not cross sentences.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from textvae.measures.evidence import Subject

LONGEST = 4


def diversity(subject: Subject) -> dict[str, Any]:
    """Return `prior_samples`, how they were decoded, their words, and `distinct_1` to `distinct_4`."""
    samples = subject.texts.samples
    return {
        "prior_samples": len(samples),
        "prior_decoding": "greedy" if subject.settings.greedy else "sampling",
        "prior_words_per_sentence": sum(len(text.split()) + 1 for text in samples) / len(samples),
        **{f"distinct_{n}": distinct(samples, n) for n in range(1, LONGEST + 1)},
    }


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of n-grams that are different ones; 0 where no text has any."""
    found = [gram for text in texts for gram in ngrams_of(text, n)]
    return len(set(found)) / max(1, len(found))


def ngrams_of(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Yield the n-grams of a text's words."""
    words = text.split()
    return zip(*(words[start:] for start in range(n)), strict=False)
