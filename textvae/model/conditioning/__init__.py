"""Conditionings: how z reaches the decoder."""

from collections.abc import Callable
from functools import partial

from textvae.model.conditioning.base import Conditioning, Signals
from textvae.model.conditioning.every_step import EveryStep
from textvae.model.conditioning.linear import LinearConditioning

EMBEDDING_STD = 0.02  # size of a number in a transformer's new embeddings: what is added to them must not drown them


CONDITIONINGS: dict[str, Callable[[int, tuple[int, ...]], Conditioning]] = {
    "initial_state": LinearConditioning,
    "every_step": EveryStep,
    "embedding": partial(LinearConditioning, spread=EMBEDDING_STD),
    "prefix": LinearConditioning,
    "output": LinearConditioning,
}


__all__ = ["CONDITIONINGS", "Conditioning", "Signals"]
