"""What every fitted prior is, and how those that are networks learn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from textvae.model.posteriors import Distribution

TRAINING_STEPS, STEPS_PER_EVALUATION, LEARNING_RATE = 2000, 100, 2e-3


_COVARIANCE_RIDGE = (
    1e-6  # of the mean variance, so that a dimension that never varies can be whitened
)


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
    def fit(cls, q: Distribution, held: Tensor) -> Self:
        """Fit on draws from q(z | x); `held`, (n, latent), of other sentences, are to choose by. The caller seeds."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), from torch's random numbers."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,), for z of (n, latent)."""


def train_density(
    module: M, cost: Callable[[M, Tensor], Tensor], q: Distribution, held: Tensor, batch: int
) -> M:
    """Minimise the mean cost of draws from q(z | x), new ones each step; return the module that was best on `held`."""
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / TRAINING_STEPS)
    )
    best, least = deepcopy(module), math.inf
    for step in range(1, TRAINING_STEPS + 1):
        some = q.select_rows(torch.randint(len(q.mean), (batch,)))
        loss = cost(module, some.sample()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % STEPS_PER_EVALUATION == 0:
            with torch.no_grad():
                now = float(cost(module, held).mean())
            if now < least:
                best, least = deepcopy(module), now
    return best


class Whitener(nn.Module):
    """An affine map under which some draws have mean 0 and covariance I.

    Shapes:
        z, and what is whitened: (n, latent)
    """

    mean: Tensor
    factor: Tensor  # of the covariance, lower triangular

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("factor", torch.eye(latent))

    def fit(self, z: Tensor) -> None:
        """Take the moments of z."""
        covariance = torch.cov(z.T.double())
        ridge = _COVARIANCE_RIDGE * covariance.diagonal().mean() * torch.eye(z.shape[1])
        self.mean.copy_(z.mean(0))
        self.factor.copy_(torch.linalg.cholesky(covariance + ridge))

    @property
    def log_slope(self) -> Tensor:
        """The log-determinant of `inverse`."""
        return self.factor.diagonal().log().sum()

    def forward(self, z: Tensor) -> Tensor:
        """Return z whitened."""
        white: Tensor = torch.linalg.solve_triangular(self.factor, (z - self.mean).T, upper=False).T
        return white

    def inverse(self, white: Tensor) -> Tensor:
        """Return what was whitened."""
        return white @ self.factor.T + self.mean
