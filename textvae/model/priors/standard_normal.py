"""The standard normal prior, N(0, I)."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from textvae.model.posteriors import DiagonalGaussian, Distribution
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings


class StandardNormalSettings(PartSettings):
    """No settings."""

    kind: Literal["standard_normal"] = "standard_normal"


class StandardNormal(Prior):
    """N(0, I), without parameters."""

    Settings = StandardNormalSettings
    is_factorized: ClassVar[bool] = True

    def center(self) -> Tensor:
        """Return 0, (latent,)."""
        return torch.zeros(self.latent)

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent)."""
        return torch.randn(count, self.latent)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log N(z; 0, I) in nats: (...) for z of shape (..., latent)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return the closed form for a Gaussian per dimension, (mean^2 + var - log var - 1) / 2."""
        if not isinstance(posterior, DiagonalGaussian):
            return super().kl(posterior, z)
        return 0.5 * (posterior.mean.square() + posterior.logvar.exp() - posterior.logvar - 1)
