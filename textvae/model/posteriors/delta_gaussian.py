"""Delta-VAE: a Gaussian whose KL to N(0, I) is at least delta in every dimension, by construction.

Razavi et al. 2019 (arXiv:1901.03416), the variant for one latent vector: the
standard deviation sigma is restricted to [sigma_l, sigma_u], the roots of
2 delta + 1 + ln sigma^2 - sigma^2 = 0, and

    mean = sqrt(2 delta + 1 + ln sigma^2 - sigma^2 + max(0, raw mean)^2)

so that the KL is delta + max(0, raw mean)^2 / 2. A positive KL does not imply
that z depends on the sentence: check the mutual information as well.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import DiagonalGaussian, make_logvar_layer

_MIN_SQUARED_MEAN = 1e-8  # below it, the gradient of the square root grows without bound


class DeltaGaussianSettings(PosteriorSettings):
    """The minimum KL of each dimension."""

    kind: Literal["delta_gaussian"] = "delta_gaussian"
    delta: float = Field(0.1, gt=0, le=10, description="minimum KL of each dimension, in nats")


class DeltaGaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence, with a KL to N(0, I) of at least delta per dimension."""

    Settings = DeltaGaussianSettings
    distribution = DiagonalGaussian

    def __init__(
        self, settings: DeltaGaussianSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.delta = settings.delta
        self.min_sigma, self.max_sigma = _sigma_bounds(settings.delta)
        self.mean = nn.Linear(self.width, latent)
        # The layer's output starts near 0, so sigma starts in the middle of its interval.
        self.deviation = make_logvar_layer(self.width, latent)

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return N(mean, sigma^2), computed as in the docstring of this module."""
        width = self.max_sigma - self.min_sigma
        sigma = self.min_sigma + width * torch.sigmoid(self.deviation(pooled))
        # The squared mean for which the KL is delta: KL = (mean^2 + sigma^2 - ln sigma^2 - 1) / 2.
        # It is 0 at the bounds of sigma, where rounding can make it slightly negative.
        squared = 2 * self.delta + 1 + 2 * sigma.log() - sigma.square()
        squared = squared + self.mean(pooled).relu().square()
        mean = torch.sqrt(squared.clamp(min=_MIN_SQUARED_MEAN))
        return DiagonalGaussian(mean, 2 * sigma.log())


def _sigma_bounds(delta: float) -> tuple[float, float]:
    """Return sigma_l and sigma_u, the roots of 2 delta + 1 + ln v - v = 0 with v = sigma^2.

    Both are fixed points: v = exp(v - 2 delta - 1) attracts below 1, and
    v = 2 delta + 1 + ln v attracts above 1, so each iteration starts at 1 and
    approaches its root from the inside. The allowed interval is never exceeded.
    """
    lower = 1.0
    upper = 1.0
    for _ in range(1000):
        lower = math.exp(lower - 2 * delta - 1)
        upper = 2 * delta + 1 + math.log(upper)
    return math.sqrt(lower), math.sqrt(upper)
