"""The uniform prior on the sphere of radius sqrt(latent), for von Mises-Fisher posteriors.

Xu & Durrett 2018 (arXiv:1808.10805). Densities are those of the direction, over
the surface of the unit sphere, as the posterior's are.
"""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from textvae.model.posteriors import Distribution, VonMisesFisher
from textvae.model.posteriors.von_mises_fisher import kl_to_uniform, log_sphere_area
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings


class UniformSphereSettings(PartSettings):
    """Nothing to set."""

    kind: Literal["uniform_sphere"] = "uniform_sphere"


class UniformSphere(Prior):
    """All directions alike; it has no parameters."""

    Settings = UniformSphereSettings
    is_spherical: ClassVar[bool] = True

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent)."""
        return math.sqrt(self.latent) * torch.nn.functional.normalize(
            torch.randn(count, self.latent), dim=1
        )

    def log_prob(self, z: Tensor) -> Tensor:
        """Return minus the logarithm of the unit sphere's surface, in nats."""
        return z.new_full(z.shape[:-1], -log_sphere_area(self.latent))

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return the closed form for a von Mises-Fisher distribution, a constant."""
        if not isinstance(posterior, VonMisesFisher):
            return super().kl(posterior, z)
        return z.new_full((len(z), 1), kl_to_uniform(posterior.kappa, self.latent))
