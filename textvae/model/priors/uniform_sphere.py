"""The uniform prior on the sphere of radius sqrt(latent), for von Mises-Fisher posteriors.

Xu & Durrett 2018 (arXiv:1808.10805). As for the posterior, densities are those of
the direction z / sqrt(latent), over the surface of the unit sphere.
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
    """No settings."""

    kind: Literal["uniform_sphere"] = "uniform_sphere"


class UniformSphere(Prior):
    """The uniform distribution over directions, without parameters."""

    Settings = UniformSphereSettings
    is_spherical: ClassVar[bool] = True

    def project(self, z: Tensor) -> Tensor:
        """Return z scaled to the radius of the sphere, (..., latent)."""
        return math.sqrt(self.latent) * torch.nn.functional.normalize(z, dim=-1)

    def center(self) -> Tensor:
        """Return 0, (latent,), the center of the sphere, which is not on it."""
        return torch.zeros(self.latent)

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent)."""
        # A standard normal vector has a uniform direction.
        noise = torch.randn(count, self.latent)
        return math.sqrt(self.latent) * torch.nn.functional.normalize(noise, dim=1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return -log of the unit sphere's surface area, in nats: (...) for z of (..., latent)."""
        return z.new_full(z.shape[:-1], -log_sphere_area(self.latent))

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return the closed form for a von Mises-Fisher distribution, a constant, (batch, 1)."""
        if not isinstance(posterior, VonMisesFisher):
            return super().kl(posterior, z)
        return z.new_full((len(z), 1), kl_to_uniform(posterior.kappa, self.latent))
