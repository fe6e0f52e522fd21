"""Measures of the sentences that are decoded along paths between two latents."""

from collections.abc import Sequence
from itertools import pairwise

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.word_movers_distance import word_movers_distance
from textvae.evaluation.measures.word_vectors import WordVectors, load_word_vectors

__all__ = ["fluency", "smoothness"]


def smoothness(inputs: EvaluationInput) -> dict[str, float | str]:
    """Return the mean, least and largest smoothness of the paths, and which vectors it uses."""
    vectors = load_word_vectors(inputs.bundle, inputs.settings.word_vectors)
    values = [path_smoothness(path, vectors) for path in inputs.texts.paths]
    return {
        "smoothness": sum(values) / len(values),
        "smoothness_min": min(values),
        "smoothness_max": max(values),
        **_describe_paths(inputs),
        "word_vectors": vectors.name,
    }


def _describe_paths(inputs: EvaluationInput) -> dict[str, int]:
    """Return the number of paths, and of the sentences on each."""
    return {"path_pairs": len(inputs.texts.paths), "path_steps": inputs.settings.steps}


def path_smoothness(path: Sequence[str], vectors: WordVectors) -> float:
    """Return the distance between a path's ends divided by the length of the path, 0 to 1.

    It is 1 if every step leads straight to the end, and 0 if the path has no length.
    """
    bags = [vectors.make_bag(text) for text in path]
    length = sum(word_movers_distance(one, other) for one, other in pairwise(bags))
    return word_movers_distance(bags[0], bags[-1]) / length if length > 0 else 0.0


def fluency(inputs: EvaluationInput) -> dict[str, float]:
    """Return `path_ppl` and `path_ends_ppl`, perplexities under n-grams of the training text."""
    between: list[str] = []
    ends: list[str] = []
    for path in inputs.texts.paths:
        between.extend(path[1:-1])
        ends.extend((path[0], path[-1]))
    ngrams = inputs.texts.ngrams
    return {
        **_describe_paths(inputs),
        "path_ppl": ngrams.perplexity(between),
        "path_ends_ppl": ngrams.perplexity(ends),
    }
