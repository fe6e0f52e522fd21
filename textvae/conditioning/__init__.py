"""Conditionings: how z reaches the decoder."""

from textvae.conditioning.base import Conditioning, Signals
from textvae.conditioning.every_step import EveryStep
from textvae.conditioning.linear import LinearConditioning

CONDITIONINGS: dict[str, type[Conditioning]] = {
    "initial_state": LinearConditioning,
    "every_step": EveryStep,
    "embedding": LinearConditioning,
    "prefix": LinearConditioning,
    "output": LinearConditioning,
}

__all__ = ["CONDITIONINGS", "Conditioning", "Signals"]
