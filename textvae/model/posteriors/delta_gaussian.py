"""Delta-VAE: a Gaussian whose KL to N(0, I) is at least delta in every dimension, by construction.

Razavi et al. 2019 (arXiv:1901.03416), the variant for one latent vector: the
deviation is kept within [sigma_l, sigma_u], the roots of
2 delta + 1 + ln sigma^2 - sigma^2 = 0, and

    mean = sqrt(2 delta + 1 + ln sigma^2 - sigma^2 + max(0, raw mean)^2)

so that the KL is delta + max(0, raw mean)^2 / 2. A committed rate need not tell
anything about the sentence: look at the mutual information beside it.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import DiagonalGaussian, make_logvar_layer

_MIN_SQUARED_MEAN = 1e-8  # under the root, whose slope at 0 is infinite


class DeltaGaussianSettings(PosteriorSettings):
    """The rate that is committed."""

    kind: Literal["delta_gaussian"] = "delta_gaussian"
    delta: float = Field(
        0.1, gt=0, le=10, description="nats of KL that each dimension has at least"
    )


class DeltaGaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence, never nearer to N(0, I) than delta."""

    Settings = DeltaGaussianSettings
    distribution = DiagonalGaussian

    def __init__(
        self, settings: DeltaGaussianSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.delta = settings.delta
        self.least, self.most = _deviation_bounds(settings.delta)
        self.mean = nn.Linear(self.width, latent)
        self.deviation = make_logvar_layer(self.width, latent)

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return the Gaussian of the paper."""
        sigma = self.least + (self.most - self.least) * torch.sigmoid(self.deviation(pooled))
        room = 2 * self.delta + 1 + 2 * sigma.log() - sigma.square()
        mean = torch.sqrt((room + self.mean(pooled).relu().square()).clamp(min=_MIN_SQUARED_MEAN))
        return DiagonalGaussian(mean, 2 * sigma.log())


def _deviation_bounds(delta: float) -> tuple[float, float]:
    """Return sigma_l and sigma_u, by two iterations that approach them from between."""
    least = most = 1.0  # variances
    for _ in range(1000):
        least, most = math.exp(least - 2 * delta - 1), 2 * delta + 1 + math.log(most)
    return math.sqrt(least), math.sqrt(most)
