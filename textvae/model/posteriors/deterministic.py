"""A plain autoencoder: z is a point, without noise.

A point has no density, hence there is no KL, no ELBO and no likelihood. This is
a baseline that shows how much a latent of this size can store. It can decode
samples from the prior, but nothing has trained the encoder to match the prior.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from textvae.errors import TextVAEError
from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import Distribution


@dataclass(frozen=True)
class Point(Distribution):
    """The distribution that puts all its mass on one point, z = mean."""

    has_density: ClassVar[bool] = False

    def sample(self) -> Tensor:
        """Return the point, (batch, latent)."""
        return self.mean

    def log_prob(self, z: Tensor) -> Tensor:
        """Raise an error: a point has no density.

        Raises:
            TextVAEError: always.
        """
        raise TextVAEError(
            "a deterministic posterior has no density: "
            "check `has_density` before calling `log_prob`."
        )


class DeterministicSettings(PosteriorSettings):
    """The pooling; there are no further settings."""

    kind: Literal["deterministic"] = "deterministic"


class DeterministicPosterior(Posterior):
    """One point per sentence."""

    Settings = DeterministicSettings
    distribution = Point

    def __init__(
        self, settings: DeterministicSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.mean = nn.Linear(self.width, latent)

    def head(self, pooled: Tensor) -> Point:
        """Return the point."""
        return Point(self.mean(pooled))
