"""The diagonal Gaussian posterior of Kingma & Welling 2014 (arXiv:1312.6114).

Its log-variance is bounded, so that neither sampling nor the KL can overflow.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import DiagonalGaussian, bound_logvar, make_logvar_layer


class GaussianPosteriorSettings(PosteriorSettings):
    """The pooling, and the bound of the log-variance."""

    kind: Literal["gaussian"] = "gaussian"
    logvar_bound: float = Field(6.0, gt=0, description="bound of |log variance|, in nats")


class GaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence."""

    Settings = GaussianPosteriorSettings
    distribution = DiagonalGaussian

    def __init__(
        self, settings: GaussianPosteriorSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.logvar_bound = settings.logvar_bound
        self.mean = nn.Linear(self.width, latent)
        self.logvar = make_logvar_layer(self.width, latent)

    def list_variance_weights(self) -> list[nn.Parameter]:
        """Return the weights of the log-variance."""
        return list(self.logvar.parameters())

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return N(mean, exp(logvar))."""
        mean = self.mean(pooled)
        return DiagonalGaussian(mean, bound_logvar(self.logvar(pooled), self.logvar_bound))
