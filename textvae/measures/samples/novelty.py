"""Novelty: how much of the samples the training text does not have.

All of the training text is read, however long; only what is asked for is kept.
Beside each share stands that of the sentences measured on: what new text has.
"""

from collections.abc import Iterable, Sequence

from textvae.measures.evidence import Subject
from textvae.measures.samples.diversity import ngrams_of

N = 4


def novelty(subject: Subject) -> dict[str, float]:
    """Return `novel` and `seen_4grams` of the samples, and both of the sentences measured on."""
    samples, real = subject.texts.samples, subject.texts.real
    sentences, grams = seen({*samples, *real}, subject.texts.training)
    return {
        "novel": novel_share(samples, sentences),
        "novel_real": novel_share(real, sentences),
        "seen_4grams": seen_share(samples, grams),
        "seen_4grams_real": seen_share(real, grams),
    }


def seen(asked: set[str], training: Iterable[str]) -> tuple[set[str], set[tuple[str, ...]]]:
    """Return which of the texts asked about, and which of their 4-grams, stand in the training text."""
    grams = {gram for text in asked for gram in ngrams_of(text, N)}
    sentences, found = set(), set()
    for text in training:
        if text in asked:
            sentences.add(text)
        found.update(grams.intersection(ngrams_of(text, N)))
    return sentences, found


def novel_share(texts: Sequence[str], sentences: set[str]) -> float:
    """Return the share of texts that are no training sentence, letter by letter."""
    return sum(text not in sentences for text in texts) / len(texts)


def seen_share(texts: Sequence[str], grams: set[tuple[str, ...]]) -> float:
    """Return the mean, over texts that have a 4-gram, of the share of theirs that are seen; 0 where none has any."""
    rows = [[gram in grams for gram in ngrams_of(text, N)] for text in texts]
    shares = [sum(row) / len(row) for row in rows if row]
    return sum(shares) / max(1, len(shares))
