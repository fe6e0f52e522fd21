"""A plain autoencoder: z is a point, without noise.

There is no density, hence no KL, no ELBO and no likelihood: a baseline of what
a latent of this size can hold. Sentences drawn from the prior come out, but
nothing has taught the encoder to put its own there.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from textvae.errors import TextVAEError
from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import Distribution


@dataclass(frozen=True)
class Point(Distribution):
    """z = mean."""

    has_density: ClassVar[bool] = False

    def sample(self) -> Tensor:
        """Return the point."""
        return self.mean

    def log_prob(self, z: Tensor) -> Tensor:
        """Refuse: a point has none.

        Raises:
            TextVAEError: always.
        """
        raise TextVAEError("a deterministic posterior has no density; ask its `has_density` first.")


class DeterministicSettings(PosteriorSettings):
    """Nothing to set beside the pooling."""

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
