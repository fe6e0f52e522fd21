"""Measures of sentences written from the prior; each a function of a `Subject`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU

from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures.ngrams import NGRAM_ORDER, NGramModel
from textvae.evaluation.measures.subject import EvaluationInput, take_evenly
from textvae.inference.encode import encode

__all__ = ["diversity", "forward_reverse", "mauve", "novelty", "self_bleu"]

_MAX_DISTINCT_ORDER = 4


def diversity(subject: EvaluationInput) -> dict[str, Any]:
    """Return `prior_samples`, how they were decoded, their words, and `distinct_1` to `distinct_4`."""
    samples = subject.texts.samples
    return {
        "prior_samples": len(samples),
        "prior_decoding": "greedy" if subject.settings.greedy else "sampling",
        "prior_words_per_sentence": sum(len(text.split()) + 1 for text in samples) / len(samples),
        **{f"distinct_{n}": distinct_share(samples, n) for n in range(1, _MAX_DISTINCT_ORDER + 1)},
    }


def distinct_share(texts: Sequence[str], n: int) -> float:
    """Return the share of n-grams that are different ones; 0 where no text has any."""
    found = [gram for text in texts for gram in _extract_ngrams(text, n)]
    return len(set(found)) / max(1, len(found))


def _extract_ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Yield the n-grams of a text's words."""
    words = text.split()
    return zip(*(words[start:] for start in range(n)), strict=False)


def forward_reverse(subject: EvaluationInput) -> dict[str, Any]:
    """Return `forward_ppl` and `reverse_ppl`, those of real text, and the shares of unknown words."""
    texts = subject.texts
    samples, real, reverse = texts.samples, texts.real, NGramModel(texts.samples)
    as_many = take_evenly(texts.learned, len(samples))
    return {
        "ngram_order": NGRAM_ORDER,
        "ngram_sentences": len(texts.learned),
        "forward_ppl": texts.ngrams.perplexity(samples),
        "forward_ppl_real": texts.ngrams.perplexity(real),
        "forward_unknown": texts.ngrams.unknown_share(samples),
        "reverse_ppl": reverse.perplexity(real),
        "reverse_ppl_real": NGramModel(as_many).perplexity(real),
        "reverse_unknown": reverse.unknown_share(real),
    }


def mauve(subject: EvaluationInput) -> dict[str, Any]:
    """Return `mauve`, 0 to 1, and what its features are.

    Raises:
        ConfigError: the package is missing.
        DataError: the features are not one finite row a text.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        raise ConfigError(
            "the measure mauve wants the package mauve-text: pip install 'textvae[mauve]'"
        ) from None
    found = compute_mauve(
        p_features=_compute_mauve_features(subject, subject.texts.real),
        q_features=_compute_mauve_features(subject, subject.texts.samples),
        seed=subject.seed % 2**31,
        verbose=False,
    )
    return {
        "mauve": float(found.mauve),
        "mauve_features": "given" if subject.settings.features else "posterior means",
    }


def _compute_mauve_features(subject: EvaluationInput, texts: list[str]) -> Any:
    """Return the features of texts, (n, features)."""
    given = subject.settings.features
    rows = np.asarray(given(texts) if given else encode(subject.bundle, texts))
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise DataError(
            f"features of {len(texts)} texts are of shape {rows.shape}; wanted is a finite row a text."
        )
    return rows


_SEEN_NGRAM_ORDER = 4


def novelty(subject: EvaluationInput) -> dict[str, float]:
    """Return `novel` and `seen_4grams` of the samples, and both of the sentences measured on."""
    samples, real = subject.texts.samples, subject.texts.real
    sentences, grams = find_seen({*samples, *real}, subject.texts.training)
    return {
        "novel": novel_share(samples, sentences),
        "novel_real": novel_share(real, sentences),
        "seen_4grams": _seen_share(samples, grams),
        "seen_4grams_real": _seen_share(real, grams),
    }


def find_seen(asked: set[str], training: Iterable[str]) -> tuple[set[str], set[tuple[str, ...]]]:
    """Return which of the texts asked about, and which of their 4-grams, stand in the training text."""
    grams = {gram for text in asked for gram in _extract_ngrams(text, _SEEN_NGRAM_ORDER)}
    sentences, found = set(), set()
    for text in training:
        if text in asked:
            sentences.add(text)
        found.update(grams.intersection(_extract_ngrams(text, _SEEN_NGRAM_ORDER)))
    return sentences, found


def novel_share(texts: Sequence[str], sentences: set[str]) -> float:
    """Return the share of texts that are no training sentence, letter by letter."""
    return sum(text not in sentences for text in texts) / len(texts)


def _seen_share(texts: Sequence[str], grams: set[tuple[str, ...]]) -> float:
    """Return the mean, over texts that have a 4-gram, of the share of theirs that are seen; 0 where none has any."""
    rows = [[gram in grams for gram in _extract_ngrams(text, _SEEN_NGRAM_ORDER)] for text in texts]
    shares = [sum(row) / len(row) for row in rows if row]
    return sum(shares) / max(1, len(shares))


def self_bleu(subject: EvaluationInput) -> dict[str, Any]:
    """Return `self_bleu`, 0 to 100, and `self_bleu_samples`, how many it is of."""
    texts = subject.texts.samples[: subject.settings.self_bleu_samples]
    return {"self_bleu": compute_self_bleu(texts), "self_bleu_samples": len(texts)}


def compute_self_bleu(texts: Sequence[str]) -> float:
    """Return the self-BLEU of texts, 0 to 100."""
    metric = BLEU(tokenize="13a", lowercase=True, effective_order=True)
    others = ([*texts[:place], *texts[place + 1 :]] for place in range(len(texts)))
    scores = [
        metric.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)
    ]
    return float(sum(scores) / len(scores))
