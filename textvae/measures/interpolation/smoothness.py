"""Interpolation smoothness, IS (Zhang, Carvalho & Freitas, "Learning Disentangled Semantic Spaces of Explanations").

The word mover's distance between a path's ends over the sum of those along it: 1 where no step is a detour. Ends are
those the model writes, so that the triangle inequality keeps it below 1. A path that comes back to where it began
counts 0, and so does one that never leaves.
"""

from collections.abc import Sequence
from itertools import pairwise

from textvae.measures.evidence import Subject
from textvae.measures.interpolation.transport import word_movers_distance
from textvae.measures.interpolation.word_vectors import Bag, WordVectors, choose_vectors


def smoothness(subject: Subject) -> dict[str, float | str]:
    """Return `smoothness`, the mean over pairs, its least and largest, and what words are compared by."""
    vectors = choose_vectors(subject.bundle, subject.settings.word_vectors)
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
    bags: list[Bag] = [vectors.bag(text) for text in path]
    along = sum(word_movers_distance(one, other) for one, other in pairwise(bags))
    return word_movers_distance(bags[0], bags[-1]) / along if along > 0 else 0.0
