"""A normalising flow: affine couplings (Dinh et al. 2017, arXiv:1605.08803) that turn draws into white noise."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from textvae.model.posteriors import Distribution
from textvae.model.posteriors.flow import CouplingFlow
from textvae.uses.fit_prior.base import FittedPrior, Whitener, train_density

COUPLING_LAYERS, HIDDEN_WIDTH, BATCH_SIZE = 8, 128, 256


class FlowPrior(FittedPrior):
    """The image of N(0, I) under couplings that need no context."""

    fewest: ClassVar[int] = 500

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.sizes = {"latent": latent}
        self.whitener, self.flow = (
            Whitener(latent),
            CouplingFlow(COUPLING_LAYERS, latent, 1, HIDDEN_WIDTH),
        )

    @classmethod
    def fit(cls, q: Distribution, held: Tensor) -> Self:
        """Maximise the likelihood of draws."""
        prior = cls(held.shape[1])
        prior.whitener.fit(q.sample())
        return train_density(
            prior, lambda module, some: -module.log_prob(some), q, held, BATCH_SIZE
        )

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,), for z of (n, latent)."""
        noise, log_slope = self.flow.inverse(self.whitener(z), z.new_zeros(len(z), 1))
        normal = torch.distributions.Normal(0.0, 1.0)
        density: Tensor = normal.log_prob(noise).sum(-1) - log_slope - self.whitener.log_slope
        return density

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent)."""
        noise = torch.randn(count, self.sizes["latent"])
        return self.whitener.inverse(self.flow(noise, noise.new_zeros(count, 1)))
