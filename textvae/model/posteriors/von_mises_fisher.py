"""The von Mises-Fisher posterior: a direction per sentence, with the same concentration for all.

Xu & Durrett 2018 (arXiv:1808.10805): kappa is a setting, so the KL to the
uniform prior on the sphere is a constant and cannot collapse; nor can it be
shaped. Where ours departs: the sphere has the radius sqrt(latent), so that a
coordinate of z varies by 1, as under N(0, I), for which the decoder's maps and
the threshold of active units are made. Neither KL nor likelihood feels it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Beta

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import Distribution


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
        return radius * _sample_directions(self.mean / radius, self.kappa)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""
        return self.kappa * (self.mean * z).sum(-1) / self.latent + log_normalizer(
            self.kappa, self.latent
        )

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), through a matrix product."""
        return self.kappa * (z @ self.mean.t()) / self.latent + log_normalizer(
            self.kappa, self.latent
        )


class VonMisesFisherSettings(PosteriorSettings):
    """How concentrated the draws are."""

    kind: Literal["von_mises_fisher"] = "von_mises_fisher"
    kappa: float = Field(
        80.0, gt=0, le=10_000, description="concentration about the mean direction"
    )


class VonMisesFisherPosterior(Posterior):
    """One direction per sentence."""

    Settings = VonMisesFisherSettings
    distribution = VonMisesFisher
    min_latent = 2

    def __init__(
        self, settings: VonMisesFisherSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.kappa, self.radius = settings.kappa, math.sqrt(latent)
        self.mean = nn.Linear(self.width, latent)

    def head(self, pooled: Tensor) -> VonMisesFisher:
        """Return the distribution about the direction of a linear map."""
        return VonMisesFisher(
            self.radius * nn.functional.normalize(self.mean(pooled), dim=1), self.kappa
        )


@lru_cache
def log_bessel(order: float, x: float) -> float:
    """Return log I_order(x), x > 0: log of sum over k of (x / 2)^(2 k + order) / (k! Gamma(k + order + 1))."""
    half = math.log(x / 2)
    count = 50 + math.ceil(
        x
    )  # the largest term is before x / 2, and they fall off within some sqrt(x)
    terms = [
        (2 * k + order) * half - math.lgamma(k + 1) - math.lgamma(k + order + 1)
        for k in range(count)
    ]
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))


def log_normalizer(kappa: float, latent: int) -> float:
    """Return log C(kappa) in `latent` dimensions."""
    order = latent / 2 - 1
    return order * math.log(kappa) - latent / 2 * math.log(2 * math.pi) - log_bessel(order, kappa)


def log_sphere_area(latent: int) -> float:
    """Return the logarithm of the unit sphere's surface."""
    return math.log(2) + latent / 2 * math.log(math.pi) - math.lgamma(latent / 2)


def kl_to_uniform(kappa: float, latent: int) -> float:
    """Return the KL to the uniform distribution on the sphere, in nats: kappa E[m'z] + log C(kappa) + log area."""
    length = math.exp(log_bessel(latent / 2, kappa) - log_bessel(latent / 2 - 1, kappa))  # E[m'z]
    return kappa * length + log_normalizer(kappa, latent) + log_sphere_area(latent)


def _sample_directions(mean: Tensor, kappa: float) -> Tensor:
    """Draw unit vectors about unit vectors, (batch, latent), differentiable in them.

    The part along the mean is drawn by rejection, which it does not depend on
    (Wood 1994, Simulation of the von Mises Fisher distribution); the rest is a
    uniform direction at right angles to it.
    """
    along = _sample_cosines(mean, kappa).unsqueeze(1)
    noise = torch.randn_like(mean)
    tangent = torch.nn.functional.normalize(
        noise - (noise * mean).sum(1, keepdim=True) * mean, dim=1
    )
    aside = (1 - along.square()).clamp(min=0).sqrt()
    return along.to(mean) * mean + aside.to(mean) * tangent


@torch.no_grad()
def _sample_cosines(mean: Tensor, kappa: float) -> Tensor:
    """Draw m'z for each row, (batch,), in double precision: near 1 its distance to 1 counts."""
    batch, latent = mean.shape
    b = (latent - 1) / (2 * kappa + math.hypot(2 * kappa, latent - 1))
    x = (1 - b) / (1 + b)
    c = kappa * x + (latent - 1) * math.log1p(-(x**2))
    half = mean.new_tensor((latent - 1) / 2, dtype=torch.float64)
    cosines, is_open = (
        mean.new_zeros(batch, dtype=torch.float64),
        torch.ones(batch, dtype=torch.bool, device=mean.device),
    )
    while is_open.any():
        share = Beta(half, half).sample((batch,))
        tried = (1 - (1 + b) * share) / (1 - (1 - b) * share)
        odds = kappa * tried + (latent - 1) * torch.log1p(-x * tried) - c
        is_taken = is_open & (odds >= torch.rand_like(tried).log())
        cosines = torch.where(is_taken, tried, cosines)
        is_open &= ~is_taken
    return cosines
