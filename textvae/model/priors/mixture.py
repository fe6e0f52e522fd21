"""A learned mixture of diagonal Gaussians as the prior.

It goes where the sentences are, in place of drawing them to one middle; the
plain baseline of Tomczak & Welling 2018 (arXiv:1705.07120), `MoG`.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings


class MixtureSettings(PartSettings):
    """How many Gaussians."""

    kind: Literal["mixture"] = "mixture"
    components: int = Field(16, gt=0)


class MixturePrior(Prior):
    """Sum over k of weight_k N(mean_k, exp(logvar_k)).

    It starts with even weights, variances of 1 and means drawn from N(0, I).
    """

    Settings = MixtureSettings
    is_learned: ClassVar[bool] = True

    def __init__(self, settings: MixtureSettings, latent: int) -> None:
        super().__init__(settings, latent)
        self.logits = nn.Parameter(torch.zeros(settings.components))
        self.mean = nn.Parameter(torch.randn(settings.components, latent))
        self.logvar = nn.Parameter(torch.zeros(settings.components, latent))

    @property
    def components(self) -> DiagonalGaussian:
        """The Gaussians, in a batch."""
        return DiagonalGaussian(self.mean, self.logvar)

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), each from a component of its own."""
        chosen = torch.multinomial(self.logits.cpu().softmax(0), count, replacement=True)
        return self.components.map(lambda tensor: tensor.cpu()[chosen]).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats."""
        return (self.components.log_prob(z.unsqueeze(-2)) + self.logits.log_softmax(0)).logsumexp(
            -1
        )
