"""A normalizing flow: affine couplings that turn latents into white noise.

Dinh et al. 2017, arXiv:1605.08803.
"""

from typing import ClassVar, Self

import torch
from torch import Tensor

from textvae.model.posteriors import Distribution
from textvae.model.posteriors.flow import CouplingFlow
from textvae.uses.fit_prior.base import FittedPrior, Whitener, draw_fixed, train_density

COUPLING_LAYERS = 8
HIDDEN_WIDTH = 128
BATCH_SIZE = 256

_CONTEXT_WIDTH = 1  # the couplings expect a context; here it is always zero


class FlowPrior(FittedPrior):
    """A density: white noise mapped through coupling layers."""

    min_sentences: ClassVar[int] = 500
    min_latent: ClassVar[int] = 2  # a coupling changes one half of z, given the other

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.sizes = {"latent": latent}
        self.whitener = Whitener(latent)
        self.flow = CouplingFlow(COUPLING_LAYERS, latent, _CONTEXT_WIDTH, HIDDEN_WIDTH)

    @classmethod
    def fit(cls, q: Distribution, validation: Tensor) -> Self:
        """Maximize the likelihood of samples from q(z | x)."""
        prior = cls(validation.shape[1])
        prior.whitener.fit(draw_fixed(q))
        return train_density(
            prior, lambda module, z: -module.log_prob(z), q, validation, BATCH_SIZE
        )

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Return samples of z, (count, latent)."""
        noise = torch.randn(count, self.sizes["latent"])
        return self.whitener.inverse(self.flow(noise, noise.new_zeros(count, _CONTEXT_WIDTH)))

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,), for z of (n, latent)."""
        context = z.new_zeros(len(z), _CONTEXT_WIDTH)
        noise, log_slope = self.flow.inverse(self.whitener(z), context)
        normal = torch.distributions.Normal(0.0, 1.0)
        noise_density = normal.log_prob(noise).sum(-1)
        density: Tensor = noise_density - log_slope - self.whitener.log_determinant
        return density
