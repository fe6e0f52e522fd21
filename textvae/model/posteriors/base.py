"""What every posterior is: the encoder's states in, a distribution over z out.

The states are pooled to one vector (several poolings side by side), from which
each kind's head makes its distribution.
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
    """How the states become one vector."""

    pooling: tuple[Literal["mean", "max", "last"], ...] = Field(("last", "max"), min_length=1)


class Posterior(nn.Module, ABC):
    """Maps a sentence's states to q(z | x).

    Attributes:
        distribution: the kind that comes out.
        least_latent: the smallest z it works with.
        width: size of what the states are pooled to.

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
                f"model.latent_dim = {latent} is too small for model.posterior = {settings.kind!r}: "
                f"it wants at least {self.least_latent}."
            )
        self.poolings = [POOLINGS[name] for name in settings.pooling]
        self.is_bidirectional = is_bidirectional
        self.width = hidden * len(self.poolings)

    def forward(self, states: Tensor, mask: Tensor) -> Distribution:
        """Return q(z | x); computed in single precision whatever the states are.

        Shapes:
            states: (batch, length, hidden)
            mask:   (batch, length), non-zero on real tokens

        Raises:
            ShapeError: mask and states differ in batch or length.
        """
        with torch.autocast(states.device.type, enabled=False):
            return self.head(self.pooled(states, mask))

    def pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the states as one vector a sentence, (batch, width), in single precision; shapes as in `forward`."""
        if states.shape[:2] != mask.shape:
            raise ShapeError(
                f"states are (batch, length) = {tuple(states.shape[:2])} but the mask is {tuple(mask.shape)}."
            )
        parts = [pool(states.float(), mask.bool(), self.is_bidirectional) for pool in self.poolings]
        return torch.cat(parts, dim=-1)

    @abstractmethod
    def head(self, pooled: Tensor) -> Distribution:
        """Return q(z | x) from the pooled states, (batch, width), in single precision."""
