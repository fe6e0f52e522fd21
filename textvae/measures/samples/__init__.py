"""Measures of sentences written from the prior; each a function of a `Subject`."""

from textvae.measures.samples.diversity import diversity
from textvae.measures.samples.forward_reverse import forward_reverse
from textvae.measures.samples.mauve import mauve
from textvae.measures.samples.novelty import novelty
from textvae.measures.samples.self_bleu import self_bleu

__all__ = ["diversity", "forward_reverse", "mauve", "novelty", "self_bleu"]
