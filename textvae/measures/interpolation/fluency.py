"""Fluency of interpolations: the n-gram perplexity of the sentences between the ends, beside that of the ends."""

from textvae.measures.evidence import Subject


def fluency(subject: Subject) -> dict[str, float]:
    """Return `path_ppl` and `path_ends_ppl`, under n-grams learned from the training text."""
    paths, ngrams = subject.texts.paths, subject.texts.ngrams
    return {
        "path_ppl": ngrams.perplexity([text for path in paths for text in path[1:-1]]),
        "path_ends_ppl": ngrams.perplexity([text for path in paths for text in (path[0], path[-1])]),
    }
