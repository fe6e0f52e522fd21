"""Measures of sentences that are sampled from the prior.

Three of them are measures of coverage: distinct-n, self-BLEU and the reverse perplexity
are worse for samples that lack a part of what real text has. The forward perplexity,
`novel` and `seen_4grams` are not: one good sentence, repeated, has the best values.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU

from textvae.errors import ConfigError, DataError
from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.ngrams import NGRAM_ORDER, NGramModel
from textvae.inference.encode import encode
from textvae.runtime.spacing import take_evenly

__all__ = ["diversity", "forward_reverse", "mauve", "novelty", "self_bleu"]

_MAX_DISTINCT_ORDER = 4  # the largest n of distinct-n
_SEEN_NGRAM_ORDER = 4


def diversity(inputs: EvaluationInput) -> dict[str, Any]:
    """Return the number of samples, how they were decoded, their mean length, and distinct-n.

    The keys are `prior_samples`, `prior_decoding`, `prior_words_per_sentence` (the end
    counted as a word), and `distinct_1` to `distinct_4`. `distinct_1_real` to
    `distinct_4_real` are those of as many evaluated sentences, since distinct-n falls with
    the number of texts; they are left out if there are too few sentences.
    """
    samples = inputs.texts.prior_samples
    words = sum(len(text.split()) + 1 for text in samples)
    orders = range(1, _MAX_DISTINCT_ORDER + 1)
    real = inputs.texts.take_real(len(samples))
    return {
        **_describe_samples(inputs),
        "prior_words_per_sentence": words / len(samples),
        **{f"distinct_{n}": distinct_share(samples, n) for n in orders},
        **{f"distinct_{n}_real": distinct_share(real, n) for n in orders if real},
    }


def _describe_samples(inputs: EvaluationInput) -> dict[str, Any]:
    """Return the number of samples, and how they were decoded."""
    return {
        "prior_samples": len(inputs.texts.prior_samples),
        "prior_decoding": "greedy" if inputs.settings.greedy else "sampling",
    }


def distinct_share(texts: Sequence[str], n: int) -> float:
    """Return the number of different n-grams divided by that of all; 0 if there are no n-grams."""
    ngrams = list(_extract_all_ngrams(texts, n))
    return len(set(ngrams)) / max(1, len(ngrams))


def forward_reverse(inputs: EvaluationInput) -> dict[str, Any]:
    """Return the forward and reverse perplexity, those of real text, and unknown-word shares.

    Forward: samples under n-grams of the training text. Reverse: real text under
    n-grams of the samples. `reverse_ppl_real` replaces the samples with as many
    training sentences, since n-grams of fewer sentences predict worse. Both models
    have the vocabulary of the training text.
    """
    texts = inputs.texts
    samples = texts.prior_samples
    originals = texts.originals
    vocabulary = texts.ngrams.word_ids
    reverse = NGramModel(samples, vocabulary=vocabulary)
    as_many_real = take_evenly(texts.ngram_training_texts, len(samples))
    reverse_real = NGramModel(as_many_real, vocabulary=vocabulary)
    return {
        **_describe_samples(inputs),
        "ngram_order": NGRAM_ORDER,
        "ngram_sentences": len(texts.ngram_training_texts),
        "forward_ppl": texts.ngrams.perplexity(samples),
        "forward_ppl_real": texts.ngrams.perplexity(originals),
        "forward_unknown": texts.ngrams.unknown_share(samples),
        "reverse_ppl": reverse.perplexity(originals),
        "reverse_ppl_real": reverse_real.perplexity(originals),
        "reverse_unknown": reverse.unknown_share(originals),
    }


def mauve(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `mauve` (0 to 1) of samples and real text, and which features it compares.

    Raises:
        ConfigError: the package mauve-text is not installed.
        DataError: the features are not one finite row per text.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        raise ConfigError(
            "the measure mauve needs the package mauve-text: pip install 'textvae[mauve]'"
        ) from None
    result = compute_mauve(
        p_features=_compute_mauve_features(inputs, inputs.texts.originals),
        q_features=_compute_mauve_features(inputs, inputs.texts.prior_samples),
        seed=inputs.seed % 2**31,  # faiss, which it uses, takes a 32-bit seed
        verbose=False,
    )
    return {
        **_describe_samples(inputs),
        "mauve": float(result.mauve),
        "mauve_features": "given" if inputs.settings.features else "posterior means",
    }


def _compute_mauve_features(inputs: EvaluationInput, texts: list[str]) -> Any:
    """Return the features of texts, (n, features).

    Raises:
        DataError: the features are not one finite row per text.
    """
    extractor = inputs.settings.features or partial(encode, inputs.bundle)
    rows = np.asarray(extractor(texts))
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise DataError(
            f"features of {len(texts)} texts have shape {rows.shape}; "
            "expected one row of finite numbers per text."
        )
    return rows


def novelty(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `novel` and `seen_4grams` of the samples, and both of the evaluated sentences."""
    samples = inputs.texts.prior_samples
    originals = inputs.texts.originals
    sentences, grams = find_seen({*samples, *originals}, inputs.texts.training_texts)
    return {
        **_describe_samples(inputs),
        "novel": novel_share(samples, sentences),
        "novel_real": novel_share(originals, sentences),
        "seen_4grams": _seen_share(samples, grams),
        "seen_4grams_real": _seen_share(originals, grams),
    }


def find_seen(texts: set[str], training: Iterable[str]) -> tuple[set[str], set[tuple[str, ...]]]:
    """Return which of the texts, and which of their 4-grams, are in the training text."""
    # Only the 4-grams of `texts` are kept in memory, not those of the training text,
    # which may be a thousand times as large.
    grams = set(_extract_all_ngrams(texts, _SEEN_NGRAM_ORDER))
    seen_texts: set[str] = set()
    seen_grams: set[tuple[str, ...]] = set()
    for text in training:
        if text in texts:
            seen_texts.add(text)
        seen_grams.update(grams.intersection(_extract_ngrams(text, _SEEN_NGRAM_ORDER)))
    return seen_texts, seen_grams


def novel_share(texts: Sequence[str], sentences: set[str]) -> float:
    """Return the share of texts that are not, letter by letter, one of the training sentences."""
    return sum(text not in sentences for text in texts) / len(texts)


def _seen_share(texts: Sequence[str], grams: set[tuple[str, ...]]) -> float:
    """Return the mean share of a text's 4-grams that are in `grams`.

    Texts without a 4-gram do not count; it is 0 if no text has any.
    """
    shares = []
    for text in texts:
        is_seen = [gram in grams for gram in _extract_ngrams(text, _SEEN_NGRAM_ORDER)]
        if is_seen:
            shares.append(sum(is_seen) / len(is_seen))
    return sum(shares) / max(1, len(shares))


def self_bleu(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `self_bleu` (0 to 100), that of real text, and the number of samples that it compares.

    `self_bleu_real` is that of as many evaluated sentences, since self-BLEU rises with
    the number of texts; it is left out if there are too few sentences.
    """
    texts = inputs.texts.prior_samples[: inputs.settings.self_bleu_samples]
    record = {"self_bleu": compute_self_bleu(texts), "self_bleu_samples": len(texts)}
    real = inputs.texts.take_real(len(texts))
    if real:
        record["self_bleu_real"] = compute_self_bleu(real)
    return record


def compute_self_bleu(texts: Sequence[str]) -> float:
    """Return the mean BLEU of each text with all other texts as references, 0 to 100."""
    # By sacrebleu's default, a sentence of fewer than four words would have a BLEU of 0.
    metric = BLEU(tokenize="13a", lowercase=True, effective_order=True, force=True)
    scores = []
    for index, text in enumerate(texts):
        others = [*texts[:index], *texts[index + 1 :]]
        scores.append(metric.sentence_score(text, others).score)
    return float(sum(scores) / len(scores))


def _extract_all_ngrams(texts: Iterable[str], n: int) -> Iterator[tuple[str, ...]]:
    """Yield the n-grams of all texts; none of them crosses from one text to the next."""
    for text in texts:
        yield from _extract_ngrams(text, n)


def _extract_ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Return an iterator over the n-grams of a text's words."""
    words = text.split()
    return zip(*(words[start:] for start in range(n)), strict=False)
