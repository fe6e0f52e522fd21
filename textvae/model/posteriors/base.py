"""The contract of a posterior: it maps the encoder's states to a distribution over z.

The states of a sentence are pooled into one vector (several poolings are
concatenated), from which the head of each kind makes its distribution.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.errors import ConfigError, ShapeError
from textvae.model.posteriors.distribution import Distribution
from textvae.model.posteriors.pooling import POOLINGS
from textvae.schema import PartSettings


class PosteriorSettings(PartSettings):
    """How to pool the states of a sentence into one vector."""

    pooling: tuple[Literal["mean", "max", "last"], ...] = Field(
        ("last", "max"),
        min_length=1,
        description="how the states of a sentence become one vector; several are concatenated",
    )


class Posterior(nn.Module, ABC):
    """Maps the states of a sentence to q(z | x).

    Attributes:
        distribution: the class of distribution that it returns.
        min_latent: the smallest latent size that it supports.
        width: size of the pooled states.

    Raises:
        ConfigError: the latent size is too small for this kind.
    """

    Settings: type[PosteriorSettings] = PosteriorSettings
    distribution: ClassVar[type[Distribution]]
    min_latent: ClassVar[int] = 1

    def __init__(
        self, settings: PosteriorSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__()
        if latent < self.min_latent:
            raise ConfigError(
                f"model.latent_dim = {latent} is too small for model.posterior = "
                f"{settings.kind!r}: it needs at least {self.min_latent}."
            )
        self.poolings = [POOLINGS[name] for name in settings.pooling]
        self.is_bidirectional = is_bidirectional
        self.width = hidden * len(self.poolings)

    def forward(self, states: Tensor, mask: Tensor) -> Distribution:
        """Return q(z | x), computed in single precision.

        Shapes:
            states: (batch, length, hidden), of any floating-point type
            mask:   (batch, length), non-zero on real tokens

        Raises:
            ShapeError: mask and states differ in batch or length.
        """
        return self.infer(states, mask)[0]

    def infer(self, states: Tensor, mask: Tensor) -> tuple[Distribution, Tensor]:
        """Return q(z | x) and the pooled states, (batch, width), it depends on; see `forward`."""
        # The KL is a small difference of larger terms: the eight bits of a bf16
        # mantissa are too few for it, so autocast is off here.
        with torch.autocast(states.device.type, enabled=False):
            pooled = self.pool(states, mask)
            return self.head(pooled), pooled

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return one vector per sentence, (batch, width), in single precision; see `forward`."""
        if states.shape[:2] != mask.shape:
            raise ShapeError(
                f"states are (batch, length) = {tuple(states.shape[:2])} "
                f"but the mask is {tuple(mask.shape)}."
            )
        # Each pooling converts the states itself: with bf16 states, one conversion for
        # all would round their gradients differently, and change the runs of a seed.
        parts = [
            pooling(states.float(), mask.bool(), self.is_bidirectional) for pooling in self.poolings
        ]
        return torch.cat(parts, dim=-1)

    def list_variance_weights(self) -> list[nn.Parameter]:
        """Return the weights that change the variances of q(z | x) and nothing else."""
        return []

    @abstractmethod
    def head(self, pooled: Tensor) -> Distribution:
        """Return q(z | x) from the pooled states, (batch, width), in single precision."""
