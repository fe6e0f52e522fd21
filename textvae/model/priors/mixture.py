"""A learned mixture of diagonal Gaussians as the prior.

It adapts to where the posteriors are, whereas N(0, I) pulls all of them to one
center. This is the `MoG` baseline of Tomczak & Welling 2018 (arXiv:1705.07120).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings, Size


class MixtureSettings(PartSettings):
    """The number of Gaussians."""

    kind: Literal["mixture"] = "mixture"
    components: Size = Field(16, description="number of Gaussians")


class MixturePrior(Prior):
    """Sum over k of weight_k N(mean_k, exp(logvar_k)).

    Training starts from equal weights, unit variances, and means sampled from
    N(0, I): with equal means, all components would get the same gradient.
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
        """The Gaussians, one row per component."""
        return DiagonalGaussian(self.mean, self.logvar)

    def center(self) -> Tensor:
        """Return the weighted mean of the components' means, (latent,)."""
        return self.logits.softmax(0) @ self.mean

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent), each row from a component sampled by weight."""
        # Weights that are not numbers are reported where the loss is.
        rows = torch.multinomial(
            self.logits.cpu().softmax(0).nan_to_num(nan=1.0), count, replacement=True
        )
        return self.components.map(lambda tensor: tensor.cpu()[rows]).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: (...) for z of shape (..., latent)."""
        # log sum_k weight_k N(z; k), by log-sum-exp, since each N(z; k) may underflow.
        per_component = self.components.log_prob(z.unsqueeze(-2))  # (..., components)
        return (per_component + self.logits.log_softmax(0)).logsumexp(-1)
