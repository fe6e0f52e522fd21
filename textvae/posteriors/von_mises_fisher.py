"""The von Mises-Fisher posterior: a direction per sentence, with the same concentration for all.

Xu & Durrett 2018 (arXiv:1808.10805): kappa is a setting, so the KL to the
uniform prior on the sphere is a constant and cannot collapse; nor can it be
shaped. Where ours departs: the sphere has the radius sqrt(latent), so that a
coordinate of z varies by 1, as under N(0, I), for which the decoder's maps and
the threshold of active units are made. Neither KL nor likelihood feels it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from textvae.posteriors.base import Posterior, PosteriorSettings
from textvae.posteriors.distribution import Distribution
from textvae.posteriors.sphere import draw_directions, log_normalizer


@dataclass(frozen=True)
class VonMisesFisher(Distribution):
    """vMF(mean / radius, kappa), on the sphere of radius sqrt(latent); densities are those of the direction."""

    kappa: float

    has_fixed_kl: ClassVar[bool] = True
    is_spherical: ClassVar[bool] = True

    @property
    def latent(self) -> int:
        """The size of z."""
        return self.mean.shape[1]

    def sample(self) -> Tensor:
        """Draw one z per sentence, (batch, latent), differentiable in the mean."""
        radius = math.sqrt(self.latent)
        return radius * draw_directions(self.mean / radius, self.kappa)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""
        return self.kappa * (self.mean * z).sum(-1) / self.latent + log_normalizer(self.kappa, self.latent)

    def pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), through a matrix product."""
        return self.kappa * (z @ self.mean.t()) / self.latent + log_normalizer(self.kappa, self.latent)


class VonMisesFisherSettings(PosteriorSettings):
    """How concentrated the draws are."""

    kind: Literal["von_mises_fisher"] = "von_mises_fisher"
    kappa: float = Field(80.0, gt=0, le=10_000, description="concentration about the mean direction")


class VonMisesFisherPosterior(Posterior):
    """One direction per sentence."""

    Settings = VonMisesFisherSettings
    distribution = VonMisesFisher
    least_latent = 2

    def __init__(self, settings: VonMisesFisherSettings, hidden: int, latent: int, is_bidirectional: bool) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.kappa, self.radius = settings.kappa, math.sqrt(latent)
        self.mean = nn.Linear(self.width, latent)

    def head(self, pooled: Tensor) -> VonMisesFisher:
        """Return the distribution about the direction of a linear map."""
        return VonMisesFisher(self.radius * nn.functional.normalize(self.mean(pooled), dim=1), self.kappa)
