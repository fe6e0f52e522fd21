"""BN-VAE: batch normalisation of the posterior means, so that their KL cannot vanish.

Zhu et al. 2020 (arXiv:2004.12585): mean = gamma * (raw - batch mean) / batch
deviation + beta, with gamma fixed and beta learned. Over the batch each mean has
variance gamma^2, so the KL to N(0, I) is on average at least gamma^2 / 2 nats a
dimension. It is part of q, not a trick of training: measures see it too, with
the running statistics. The batch is that of all processes together.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import DiagonalGaussian, bound_logvar, make_logvar_layer
from textvae.runtime.batch_mean import batch_mean

_MOMENTUM = 0.1  # of the running statistics, as torch's own batch norm has it


_EPSILON = 1e-5


class BatchNormGaussianSettings(PosteriorSettings):
    """How far apart the means are kept."""

    kind: Literal["batch_norm_gaussian"] = "batch_norm_gaussian"
    gamma: float = Field(
        0.6, gt=0, description="standard deviation of each mean over a batch; KL >= gamma^2 / 2"
    )
    logvar_bound: float = Field(6.0, gt=0, description="|log variance| stays below this, in nats")


class BatchNormGaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence, its mean normalised over the batch."""

    Settings = BatchNormGaussianSettings
    distribution = DiagonalGaussian

    def __init__(
        self, settings: BatchNormGaussianSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.gamma, self.logvar_bound = settings.gamma, settings.logvar_bound
        self.mean = nn.Linear(self.width, latent, bias=False)  # a constant would be taken off again
        self.logvar = make_logvar_layer(self.width, latent)
        self.beta = nn.Parameter(torch.zeros(latent))
        self.register_buffer("running_mean", torch.zeros(latent))
        self.register_buffer("running_variance", torch.ones(latent))

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return N(normalised mean, exp(logvar))."""
        return DiagonalGaussian(
            self.normalize_means(self.mean(pooled)),
            bound_logvar(self.logvar(pooled), self.logvar_bound),
        )

    def normalize_means(self, raw: Tensor) -> Tensor:
        """Normalise by the batch in training, by the running statistics in evaluation."""
        center, variance = self.get_buffer("running_mean"), self.get_buffer("running_variance")
        if self.training:
            running = (center, variance)
            center = batch_mean(raw)
            variance = batch_mean((raw - center).square())
            for kept, seen in zip(running, (center, variance), strict=True):
                kept.lerp_(seen.detach(), _MOMENTUM)
        return self.gamma * (raw - center) * torch.rsqrt(variance + _EPSILON) + self.beta
