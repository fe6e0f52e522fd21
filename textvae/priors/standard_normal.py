"""The standard normal prior, N(0, I)."""

import math
from typing import Literal

import torch
from torch import Tensor

from textvae.parts import PartSettings
from textvae.posteriors import DiagonalGaussian
from textvae.priors.base import Prior


class StandardNormalSettings(PartSettings):
    """Nothing to set."""

    kind: Literal["standard_normal"] = "standard_normal"


class StandardNormal(Prior):
    """N(0, I); it has no parameters."""

    Settings = StandardNormalSettings

    def __init__(self, settings: StandardNormalSettings, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), on the CPU, so that every device gets the same draws."""
        return torch.randn(count, self.latent)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log N(z; 0, I) in nats."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def kl(self, posterior: DiagonalGaussian) -> Tensor:
        """Return the closed form, (mean^2 + var - log var - 1) / 2, per dimension."""
        return 0.5 * (posterior.mean.square() + posterior.logvar.exp() - posterior.logvar - 1)
