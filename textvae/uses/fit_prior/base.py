"""The interface of fitted priors, and the training loop and whitening they share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from typing import ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from textvae.model.posteriors import Distribution

TRAINING_STEPS = 2000
STEPS_PER_EVALUATION = 100
LEARNING_RATE = 2e-3

# Share of the mean variance that is added to each variance, so that a dimension that
# never varies can be whitened.
_COVARIANCE_RIDGE = 1e-6

M = TypeVar("M", bound=nn.Module)


class FittedPrior(nn.Module, ABC):
    """A density fitted to the aggregate posterior; z is sampled from it instead of the prior.

    Attributes:
        min_sentences: the smallest number of sentences it can be fitted on.
        min_latent: the smallest latent size that it supports.
        sizes: the arguments to build it again before its tensors are loaded.
    """

    min_sentences: ClassVar[int]
    min_latent: ClassVar[int] = 1
    sizes: dict[str, int]

    @classmethod
    @abstractmethod
    def fit(cls, q: Distribution, validation: Tensor) -> Self:
        """Fit a density on samples from q(z | x). The caller sets the seed.

        Args:
            validation: (n, latent), latents of other sentences, for model selection.
        """

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Return samples of z, (count, latent), from torch's global random numbers."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,), for z of (n, latent)."""


@torch.no_grad()
def draw_fixed(q: Distribution) -> Tensor:
    """Return one z per sentence, (n, latent), without gradients to the weights of a flow posterior."""
    return q.sample()


def train_density(
    module: M, cost: Callable[[M, Tensor], Tensor], q: Distribution, validation: Tensor, batch: int
) -> M:
    """Minimize the mean cost of samples from q(z | x); return the best module on `validation`.

    Each step uses new samples, so that the module fits the aggregate posterior and not
    a fixed set of points.

    Args:
        cost: (module, z) -> (n,), such as the negative log-likelihood in nats.
        batch: samples per step.
    """
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / TRAINING_STEPS)
    )
    best_module = deepcopy(module)
    best_cost = math.inf
    for step in range(1, TRAINING_STEPS + 1):
        posteriors = q.select_rows(torch.randint(len(q.mean), (batch,)))
        loss = cost(module, draw_fixed(posteriors)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % STEPS_PER_EVALUATION == 0:
            with torch.no_grad():
                validation_cost = float(cost(module, validation).mean())
            if validation_cost < best_cost:
                best_module = deepcopy(module)
                best_cost = validation_cost
    return best_module


class Whitener(nn.Module):
    """An affine map that gives samples mean 0 and covariance I.

    Shapes:
        z and whitened z: (n, latent)
    """

    mean: Tensor
    factor: Tensor  # Cholesky factor of the covariance, lower triangular

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("factor", torch.eye(latent))

    def fit(self, z: Tensor) -> None:
        """Set the map from the mean and covariance of z."""
        # Cholesky needs double precision. `cov` returns a scalar for a latent of one dimension.
        covariance = torch.atleast_2d(z.T.double().cov())
        ridge = _COVARIANCE_RIDGE * covariance.diagonal().mean() * torch.eye(z.shape[1])
        self.mean.copy_(z.mean(0))
        self.factor.copy_(torch.linalg.cholesky(covariance + ridge))

    @property
    def log_determinant(self) -> Tensor:
        """The log-determinant of `inverse`, a scalar."""
        return self.factor.diagonal().log().sum()

    def forward(self, z: Tensor) -> Tensor:
        """Return whitened z."""
        white: Tensor = torch.linalg.solve_triangular(self.factor, (z - self.mean).T, upper=False).T
        return white

    def inverse(self, white: Tensor) -> Tensor:
        """Return z from whitened z."""
        return white @ self.factor.T + self.mean
