"""Conditionings: the ways in which z conditions the decoder."""

from collections.abc import Callable
from functools import partial

from textvae.model.conditioning.base import Conditioning, Signals
from textvae.model.conditioning.every_step import EveryStep
from textvae.model.conditioning.linear import LinearConditioning

# The standard deviation with which transformers initialize their embeddings. A
# much larger signal, added to an embedding, would hide which token it is.
EMBEDDING_STD = 0.02

CONDITIONINGS: dict[str, Callable[[int, tuple[int, ...]], Conditioning]] = {
    "initial_state": LinearConditioning,
    "every_step": EveryStep,
    "embedding": partial(LinearConditioning, initial_std=EMBEDDING_STD),
    "prefix": LinearConditioning,
    "output": LinearConditioning,
    "memory": LinearConditioning,
    "cross_attention": LinearConditioning,
}


__all__ = ["CONDITIONINGS", "Conditioning", "Signals"]
