"""The von Mises-Fisher posterior: a direction per sentence, with the same concentration for all.

Xu & Durrett 2018 (arXiv:1808.10805): kappa is a setting, so the KL to the uniform
prior on the sphere is a constant. It cannot collapse, and no technique can shape
it. We depart from the paper in one point: the sphere has radius sqrt(latent)
instead of 1, so that a coordinate of z has variance 1 as under N(0, I), the scale
for which the decoder's maps and the threshold of active units are made. This
changes neither KL nor likelihood, since densities are those of the direction.
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
    """vMF(mean / radius, kappa) on the sphere of radius sqrt(latent).

    With the unit vectors m = mean / radius and u = z / radius, its density is
    C(kappa) exp(kappa m'u), over directions.

    Attributes:
        kappa: the concentration about the mean.

    Shapes:
        mean: (batch, latent), of norm sqrt(latent)
    """

    kappa: float

    has_fixed_kl: ClassVar[bool] = True
    is_spherical: ClassVar[bool] = True

    @property
    def latent(self) -> int:
        """The size of z."""
        return self.mean.shape[1]

    def sample(self) -> Tensor:
        """Sample one z per sentence, (batch, latent), differentiable in the mean."""
        radius = math.sqrt(self.latent)
        return radius * _sample_directions(self.mean / radius, self.kappa)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of shape (..., batch, latent)."""
        # m'u is the product of mean and z, divided by the squared radius.
        exponent = self.kappa * (self.mean * z).sum(-1) / self.latent
        return exponent + log_normalizer(self.kappa, self.latent)

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), by a matrix product."""
        exponent = self.kappa * (z @ self.mean.t()) / self.latent
        return exponent + log_normalizer(self.kappa, self.latent)


class VonMisesFisherSettings(PosteriorSettings):
    """The pooling, and the concentration, which is the same for all sentences."""

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
        self.kappa = settings.kappa
        self.radius = math.sqrt(latent)
        self.mean = nn.Linear(self.width, latent)

    def head(self, pooled: Tensor) -> VonMisesFisher:
        """Return the distribution about the direction of a linear map."""
        direction = nn.functional.normalize(self.mean(pooled), dim=1)
        return VonMisesFisher(self.radius * direction, self.kappa)


@lru_cache
def log_bessel(order: float, x: float) -> float:
    """Return log I_order(x) for x > 0, the modified Bessel function of the first kind.

    It sums the series over k of (x / 2)^(2 k + order) / (k! Gamma(k + order + 1)).
    """
    half = math.log(x / 2)
    # The largest term comes before k = x / 2, and beyond it the terms vanish within
    # a few times sqrt(x).
    count = 50 + math.ceil(x)
    terms = [
        (2 * k + order) * half - math.lgamma(k + 1) - math.lgamma(k + order + 1)
        for k in range(count)
    ]
    largest = max(terms)  # taken out of the sum, since exp of it may overflow
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))


def log_normalizer(kappa: float, latent: int) -> float:
    """Return log C(kappa) in `latent` dimensions.

    C(kappa) = kappa^(latent/2 - 1) / ((2 pi)^(latent/2) I_{latent/2 - 1}(kappa)).
    """
    order = latent / 2 - 1
    return order * math.log(kappa) - latent / 2 * math.log(2 * math.pi) - log_bessel(order, kappa)


def log_sphere_area(latent: int) -> float:
    """Return the logarithm of the unit sphere's surface area, 2 pi^(latent/2) / Gamma(latent/2)."""
    return math.log(2) + latent / 2 * math.log(math.pi) - math.lgamma(latent / 2)


def kl_to_uniform(kappa: float, latent: int) -> float:
    """Return the KL to the uniform distribution on the sphere, in nats.

    It is kappa E[m'u] + log C(kappa) + log area, where E[m'u] is a ratio of two Bessel functions.
    """
    cosine = math.exp(log_bessel(latent / 2, kappa) - log_bessel(latent / 2 - 1, kappa))
    return kappa * cosine + log_normalizer(kappa, latent) + log_sphere_area(latent)


def _sample_directions(mean: Tensor, kappa: float) -> Tensor:
    """Sample unit vectors about unit vectors, (batch, latent), differentiable in the mean.

    The component along the mean is sampled by rejection (Wood 1994, Simulation of
    the von Mises Fisher distribution); its distribution does not depend on the
    mean. The rest is a uniform direction orthogonal to the mean.
    """
    # u = cosine m + sine t, with a unit vector t orthogonal to the mean m. Cosine and
    # sine carry no gradient, but m and t do.
    cosine = _sample_cosines(mean, kappa).unsqueeze(1)
    noise = torch.randn_like(mean)
    orthogonal = noise - (noise * mean).sum(1, keepdim=True) * mean
    tangent = torch.nn.functional.normalize(orthogonal, dim=1)
    sine = (1 - cosine.square()).clamp(min=0).sqrt()  # rounding may give less than 0
    return cosine.to(mean) * mean + sine.to(mean) * tangent


@torch.no_grad()
def _sample_cosines(mean: Tensor, kappa: float) -> Tensor:
    """Sample m'u for each row, (batch,).

    In double precision: with a large kappa the cosines are near 1, and their
    distance to 1 would be lost to rounding. The names b, x and c are those of
    algorithm VM* of Wood 1994.
    """
    batch, latent = mean.shape
    b = (latent - 1) / (2 * kappa + math.hypot(2 * kappa, latent - 1))
    x = (1 - b) / (1 + b)
    c = kappa * x + (latent - 1) * math.log1p(-(x**2))
    shape = mean.new_tensor((latent - 1) / 2, dtype=torch.float64)
    cosines = mean.new_zeros(batch, dtype=torch.float64)
    is_pending = torch.ones(batch, dtype=torch.bool, device=mean.device)
    # All rows propose in every round; each keeps the first value that it accepts.
    while is_pending.any():
        beta = Beta(shape, shape).sample((batch,))
        proposed = (1 - (1 + b) * beta) / (1 - (1 - b) * beta)
        log_ratio = kappa * proposed + (latent - 1) * torch.log1p(-x * proposed) - c
        is_accepted = is_pending & (log_ratio >= torch.rand_like(proposed).log())
        cosines = torch.where(is_accepted, proposed, cosines)
        is_pending &= ~is_accepted
    return cosines
