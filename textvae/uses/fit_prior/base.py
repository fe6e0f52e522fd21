"""What every fitted prior is, and how those that are networks learn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

STEPS, EACH, BATCH, RATE = 3000, 100, 512, 2e-3
M = TypeVar("M", bound=nn.Module)


class FittedPrior(nn.Module, ABC):
    """A density fitted on draws from the aggregate posterior, to draw z from in the prior's place.

    Attributes:
        fewest: sentences it can be fitted on.
        sizes: what it is built from again, before its tensors are loaded.
    """

    fewest: ClassVar[int]
    sizes: dict[str, Any]

    @classmethod
    @abstractmethod
    def fitted(cls, z: Tensor, held: Tensor) -> Self:
        """Fit on draws z, (n, latent); `held`, of the same kind, are kept aside to choose by. Seeded by the caller."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), from torch's random numbers."""


def learn(module: M, cost: Callable[[M, Tensor], Tensor], z: Tensor, held: Tensor) -> M:
    """Minimise the mean cost of z, (n, latent); return the module as it was when that of `held` was least."""
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / STEPS))
    best, least = deepcopy(module), math.inf
    for step in range(1, STEPS + 1):
        loss = cost(module, z[torch.randint(len(z), (min(BATCH, len(z)),))]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % EACH == 0:
            with torch.no_grad():
                now = float(cost(module, held).mean())
            if now < least:
                best, least = deepcopy(module), now
    return best


class Whitener(nn.Module):
    """Shift and scale that make each dimension of some draws of mean 0 and variance 1."""

    mean: Tensor
    scale: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))

    def see(self, z: Tensor) -> None:
        """Take the moments of z, (n, latent)."""
        self.mean.copy_(z.mean(0))
        self.scale.copy_(z.std(0).clamp(min=1e-6))

    def forward(self, z: Tensor) -> Tensor:
        """Return z whitened."""
        return (z - self.mean) / self.scale

    def inverse(self, white: Tensor) -> Tensor:
        """Return what was whitened."""
        return white * self.scale + self.mean
