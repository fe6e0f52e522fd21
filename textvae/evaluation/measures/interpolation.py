"""Measures of the sentences on the way from one to another; each a function of a `Subject`."""

from collections.abc import Sequence
from itertools import pairwise

from textvae.evaluation.measures.subject import EvaluationInput
from textvae.evaluation.measures.word_movers_distance import word_movers_distance
from textvae.evaluation.measures.word_vectors import WordBag, WordVectors, load_word_vectors

__all__ = ["fluency", "smoothness"]


def smoothness(subject: EvaluationInput) -> dict[str, float | str]:
    """Return `smoothness`, the mean over pairs, its least and largest, and what words are compared by."""
    vectors = load_word_vectors(subject.bundle, subject.settings.word_vectors)
    values = [path_smoothness(path, vectors) for path in subject.texts.paths]
    return {
        "smoothness": sum(values) / len(values),
        "smoothness_min": min(values),
        "smoothness_max": max(values),
        "path_pairs": len(values),
        "path_steps": subject.settings.steps,
        "word_vectors": vectors.name,
    }


def path_smoothness(path: Sequence[str], vectors: WordVectors) -> float:
    """Return one path's smoothness, 0 to 1."""
    bags: list[WordBag] = [vectors.bag(text) for text in path]
    along = sum(word_movers_distance(one, other) for one, other in pairwise(bags))
    return word_movers_distance(bags[0], bags[-1]) / along if along > 0 else 0.0


def fluency(subject: EvaluationInput) -> dict[str, float]:
    """Return `path_ppl` and `path_ends_ppl`, under n-grams learned from the training text."""
    paths, ngrams = subject.texts.paths, subject.texts.ngrams
    return {
        "path_ppl": ngrams.perplexity([text for path in paths for text in path[1:-1]]),
        "path_ends_ppl": ngrams.perplexity(
            [text for path in paths for text in (path[0], path[-1])]
        ),
    }
