"""A Gaussian with a diagonal covariance, one per sentence."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.posteriors.distribution import Distribution


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

    def pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), through matrix products."""
        mean, precision = self.mean, torch.exp(-self.logvar)
        squared = z.square() @ precision.t() - 2 * z @ (mean * precision).t() + (mean.square() * precision).sum(1)
        return -0.5 * (squared + self.logvar.sum(1) + mean.shape[1] * math.log(2 * math.pi))
