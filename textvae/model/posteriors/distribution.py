"""What every q(z | x) is: one distribution per sentence, to draw from, to decode from and to measure.

A distribution is a frozen dataclass. Its tensors all have a row a sentence, so
that it can be moved, cut, and put together from batches, whatever its kind.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Distribution(ABC):
    """q(z | x).

    Attributes:
        has_density: whether `log_prob` is defined; without it there is no KL, and no bound on the likelihood.
        has_fixed_kl: whether the KL to the prior is the same for all sentences, whatever is learned.
        is_spherical: whether z is on a sphere, of radius sqrt(latent).

    Shapes:
        mean: (batch, latent), the point to decode from
    """

    mean: Tensor

    has_density: ClassVar[bool] = True
    has_fixed_kl: ClassVar[bool] = False
    is_spherical: ClassVar[bool] = False

    @abstractmethod
    def sample(self) -> Tensor:
        """Draw one z per sentence, (batch, latent), differentiable in the parameters."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) in nats for all pairs, (rows, batch), for z of (rows, latent)."""
        return self.log_prob(z.unsqueeze(1))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What makes it, by name, each (batch, ...)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return it with the function applied to each of its tensors."""
        return replace(self, **{name: function(value) for name, value in self.tensors.items()})

    def rows(self, chosen: Tensor) -> Self:
        """Return it for some of the sentences, by their places, (n,)."""
        return self.map(lambda tensor: tensor[chosen])

    def blank(self, count: int) -> Self:
        """Return one of the same kind for `count` sentences, zeros on the CPU, for `place` to fill."""
        return self.map(lambda tensor: tensor.new_zeros(count, *tensor.shape[1:], device="cpu"))

    def place(self, rows: Sequence[int] | slice, other: Self) -> None:
        """Put another's sentences at these rows."""
        for name, value in self.tensors.items():
            value[rows] = other.tensors[name].to(value)


@dataclass(frozen=True)
class DiagonalGaussian(Distribution):
    """N(mean, exp(logvar)).

    Shapes:
        mean, logvar: (batch, latent)
    """

    logvar: Tensor

    def sample(self) -> Tensor:
        """Draw one z per sentence, (batch, latent), differentiable in mean and logvar."""
        return self.mean + torch.exp(0.5 * self.logvar) * torch.randn_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""
        squared = (z - self.mean).square() * torch.exp(-self.logvar)
        return -0.5 * (squared + self.logvar + math.log(2 * math.pi)).sum(-1)

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), through matrix products."""
        mean, precision = self.mean, torch.exp(-self.logvar)
        squared = (
            z.square() @ precision.t()
            - 2 * z @ (mean * precision).t()
            + (mean.square() * precision).sum(1)
        )
        return -0.5 * (squared + self.logvar.sum(1) + mean.shape[1] * math.log(2 * math.pi))


def make_logvar_layer(width: int, latent: int) -> nn.Linear:
    """Return a linear map to log-variances; training starts at unit variance."""
    chart = nn.Linear(width, latent)
    nn.init.zeros_(chart.bias)
    nn.init.normal_(chart.weight, std=0.01)
    return chart


def bound_logvar(logvar: Tensor, bound: float) -> Tensor:
    """Squash each into (-bound, bound)."""
    return bound * torch.tanh(logvar / bound)
