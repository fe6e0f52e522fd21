"""The contract of q(z | x): one distribution per sentence, to sample from and to evaluate.

A distribution is a frozen dataclass. All its tensors have one row per sentence,
so it can be moved to a device, indexed, and assembled from batches whatever its
kind.
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
    """q(z | x) for a batch of sentences.

    Attributes:
        has_density: whether `log_prob` is defined; if not, there is no KL, and no bound on the
            likelihood.
        has_fixed_kl: whether the KL to the prior is the same constant for all sentences.
        is_spherical: whether z is on the sphere of radius sqrt(latent).

    Shapes:
        mean: (batch, latent), the point to decode from
    """

    mean: Tensor

    has_density: ClassVar[bool] = True
    has_fixed_kl: ClassVar[bool] = False
    is_spherical: ClassVar[bool] = False

    @abstractmethod
    def sample(self) -> Tensor:
        """Sample one z per sentence, (batch, latent), differentiable in the parameters."""

    def sample_with_seeds(self, seeds: Sequence[int], draws: int = 1) -> Tensor:
        """Sample z of each sentence with the sentence's own seed, (draws, batch, latent).

        A sentence's samples depend only on its seed and its own distribution, and not on the
        other sentences of the batch. torch's random numbers are left as they were.
        """
        gpus = [self.mean.device] if self.mean.is_cuda else []
        samples = []
        with torch.random.fork_rng(gpus):
            for row, seed in enumerate(seeds):
                # Not `torch.manual_seed`, which takes ten times as long as the sampling.
                torch.default_generator.manual_seed(seed)
                for gpu in gpus:
                    torch.cuda.default_generators[gpu.index].manual_seed(seed)
                samples.append(self._repeat_row(row, draws).sample())
        return torch.stack(samples, dim=1)

    def _repeat_row(self, row: int, count: int) -> Self:
        """Return the distribution of one sentence, as that of `count` equal sentences."""
        return self.map(lambda tensor: tensor[row : row + 1].expand(count, *tensor.shape[1:]))

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of shape (..., batch, latent)."""

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) in nats for all pairs, (rows, batch), for z of (rows, latent)."""
        return self.log_prob(z.unsqueeze(1))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The parameters that are tensors, by name, each (batch, ...)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy with the function applied to each of its tensors."""
        return replace(self, **{name: function(value) for name, value in self.tensors.items()})

    def select_rows(self, rows: Tensor) -> Self:
        """Return the distributions of some of the sentences, by their row numbers, (n,)."""
        return self.map(lambda tensor: tensor[rows])

    def make_zeros(self, count: int) -> Self:
        """Return zeros of the same kind for `count` sentences, on the CPU; `set_rows` fills them."""
        return self.map(lambda tensor: tensor.new_zeros(count, *tensor.shape[1:], device="cpu"))

    def set_rows(self, rows: Sequence[int] | slice, other: Self) -> None:
        """Overwrite these rows, in place, with the sentences of another distribution."""
        for name, value in self.tensors.items():
            value[rows] = other.tensors[name].to(value)


@dataclass(frozen=True)
class DiagonalGaussian(Distribution):
    """N(mean, exp(logvar)), with independent dimensions.

    Shapes:
        mean, logvar: (batch, latent)
    """

    logvar: Tensor

    def sample(self) -> Tensor:
        """Sample one z per sentence, (batch, latent), differentiable in mean and logvar."""
        # The reparametrization of Kingma & Welling 2014: the noise does not depend
        # on the parameters, so the gradient passes through mean and standard deviation.
        return self.mean + torch.exp(0.5 * self.logvar) * torch.randn_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of shape (..., batch, latent)."""
        # log N(z; m, v) = -((z - m)^2 / v + log v + log 2 pi) / 2, summed over dimensions.
        squared = (z - self.mean).square() * torch.exp(-self.logvar)
        return -0.5 * (squared + self.logvar + math.log(2 * math.pi)).sum(-1)

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch)."""
        mean = self.mean
        precision = torch.exp(-self.logvar)
        # sum (z - m)^2 / v = sum z^2 / v - 2 sum z m / v + sum m^2 / v. As matrix products, this
        # needs no tensor of shape (rows, batch, latent).
        squared = (
            z.square() @ precision.t()
            - 2 * z @ (mean * precision).t()
            + (mean.square() * precision).sum(1)
        )
        return -0.5 * (squared + self.logvar.sum(1) + mean.shape[1] * math.log(2 * math.pi))


def make_logvar_layer(width: int, latent: int) -> nn.Linear:
    """Return a linear map to log-variances near 0, so that training starts at unit variance."""
    layer = nn.Linear(width, latent)
    nn.init.zeros_(layer.bias)
    nn.init.normal_(layer.weight, std=0.01)
    return layer


def bound_logvar(logvar: Tensor, bound: float) -> Tensor:
    """Squash log-variances into (-bound, bound).

    A clamp would have no gradient outside the bounds.
    """
    return bound * torch.tanh(logvar / bound)
