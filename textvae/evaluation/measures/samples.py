"""Measures of sentences written from the prior; each a function of a `Subject`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU

from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures.ngrams import ORDER, NGrams
from textvae.evaluation.measures.subject import Subject, evenly
from textvae.inference.encode import encode

__all__ = ["diversity", "forward_reverse", "mauve", "novelty", "self_bleu"]

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


def forward_reverse(subject: Subject) -> dict[str, Any]:
    """Return `forward_ppl` and `reverse_ppl`, those of real text, and the shares of unknown words."""
    texts = subject.texts
    samples, real, reverse = texts.samples, texts.real, NGrams(texts.samples)
    as_many = evenly(texts.learned, len(samples))
    return {
        "ngram_order": ORDER,
        "ngram_sentences": len(texts.learned),
        "forward_ppl": texts.ngrams.perplexity(samples),
        "forward_ppl_real": texts.ngrams.perplexity(real),
        "forward_unknown": texts.ngrams.unknown_share(samples),
        "reverse_ppl": reverse.perplexity(real),
        "reverse_ppl_real": NGrams(as_many).perplexity(real),
        "reverse_unknown": reverse.unknown_share(real),
    }


def mauve(subject: Subject) -> dict[str, Any]:
    """Return `mauve`, 0 to 1, and what its features are.

    Raises:
        ConfigError: the package is missing.
        DataError: the features are not one finite row a text.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        raise ConfigError("the measure mauve wants the package mauve-text: pip install 'textvae[mauve]'") from None
    found = compute_mauve(
        p_features=features(subject, subject.texts.real),
        q_features=features(subject, subject.texts.samples),
        seed=subject.seed % 2**31,
        verbose=False,
    )
    return {"mauve": float(found.mauve), "mauve_features": "given" if subject.settings.features else "posterior means"}


def features(subject: Subject, texts: list[str]) -> Any:
    """Return the features of texts, (n, features)."""
    given = subject.settings.features
    rows = np.asarray(given(texts) if given else encode(subject.bundle, texts))
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise DataError(f"features of {len(texts)} texts are of shape {rows.shape}; wanted is a finite row a text.")
    return rows


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


def self_bleu(subject: Subject) -> dict[str, Any]:
    """Return `self_bleu`, 0 to 100, and `self_bleu_samples`, how many it is of."""
    texts = subject.texts.samples[: subject.settings.self_bleu_samples]
    return {"self_bleu": self_bleu_of(texts), "self_bleu_samples": len(texts)}


def self_bleu_of(texts: Sequence[str]) -> float:
    """Return the self-BLEU of texts, 0 to 100."""
    metric = BLEU(tokenize="13a", lowercase=True, effective_order=True)
    others = ([*texts[:place], *texts[place + 1 :]] for place in range(len(texts)))
    scores = [metric.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)]
    return float(sum(scores) / len(scores))
