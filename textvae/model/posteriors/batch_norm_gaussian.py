"""BN-VAE: batch normalization of the posterior means, so that their KL cannot vanish.

Zhu et al. 2020 (arXiv:2004.12585):

    mean = gamma * (raw - batch mean) / batch standard deviation + beta

with gamma fixed and beta learned. Over a batch each mean then has variance
gamma^2, so the KL to N(0, I) is on average at least gamma^2 / 2 nats per
dimension. The normalization is part of q, not only of training: measures use it
too, with the running statistics. With several processes, the batch is that of all
processes together.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import DiagonalGaussian, bound_logvar, make_logvar_layer
from textvae.runtime.batch_mean import batch_mean

_MOMENTUM = 0.1  # of the running statistics, the default of torch's batch normalization
_EPSILON = 1e-5  # added to the variance, the default of torch's batch normalization


class BatchNormGaussianSettings(PosteriorSettings):
    """Standard deviation of the means over a batch, and the bound of the log-variance."""

    kind: Literal["batch_norm_gaussian"] = "batch_norm_gaussian"
    gamma: float = Field(
        0.6, gt=0, description="standard deviation of each mean over a batch; KL >= gamma^2 / 2"
    )
    logvar_bound: float = Field(6.0, gt=0, description="bound of |log variance|, in nats")


class BatchNormGaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence, with its mean normalized over the batch."""

    Settings = BatchNormGaussianSettings
    distribution = DiagonalGaussian

    def __init__(
        self, settings: BatchNormGaussianSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.gamma = settings.gamma
        self.logvar_bound = settings.logvar_bound
        # Without bias: subtracting the batch mean would remove it.
        self.mean = nn.Linear(self.width, latent, bias=False)
        self.logvar = make_logvar_layer(self.width, latent)
        self.beta = nn.Parameter(torch.zeros(latent))
        self.register_buffer("running_mean", torch.zeros(latent))
        self.register_buffer("running_variance", torch.ones(latent))

    def list_variance_weights(self) -> list[nn.Parameter]:
        """Return the weights of the log-variance."""
        return list(self.logvar.parameters())

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return N(normalized mean, exp(logvar))."""
        mean = self.normalize_means(self.mean(pooled))
        return DiagonalGaussian(mean, bound_logvar(self.logvar(pooled), self.logvar_bound))

    def normalize_means(self, raw: Tensor) -> Tensor:
        """Normalize means, (batch, latent).

        While the means are trained, by the statistics of the batch; otherwise by the running ones.
        """
        center = self.get_buffer("running_mean")
        variance = self.get_buffer("running_variance")
        if self.training and raw.requires_grad:
            running_mean = center
            running_variance = variance
            # The gradient flows through these statistics, over all processes. torch's
            # batch normalization would use the batch of each process alone.
            center = batch_mean(raw)
            variance = batch_mean((raw - center).square())
            running_mean.lerp_(center.detach(), _MOMENTUM)
            running_variance.lerp_(variance.detach(), _MOMENTUM)
        return self.gamma * (raw - center) * torch.rsqrt(variance + _EPSILON) + self.beta
