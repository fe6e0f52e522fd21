"""The diagonal Gaussian posterior, with a bounded log-variance.

The states are pooled to one vector, from which two linear maps give the mean
and the log-variance. The latter is squashed into (-bound, bound): a variance
that runs away makes the KL explode, and one that vanishes makes a plain
autoencoder.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.errors import ShapeError
from textvae.parts import PartSettings, choose
from textvae.posteriors.base import Posterior
from textvae.posteriors.gaussian_distribution import DiagonalGaussian
from textvae.posteriors.pooling import POOLINGS


class GaussianPosteriorSettings(PartSettings):
    """How the states become one Gaussian."""

    kind: Literal["gaussian"] = "gaussian"
    pooling: Literal["mean", "max", "last"] = "mean"
    logvar_bound: float = Field(6.0, gt=0, description="|log variance| stays below this, in nats")


class GaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence."""

    Settings = GaussianPosteriorSettings

    def __init__(self, settings: GaussianPosteriorSettings, hidden: int, latent: int, is_bidirectional: bool) -> None:
        super().__init__()
        self.pool = choose(POOLINGS, settings.pooling, "model.posterior.pooling")
        self.is_bidirectional = is_bidirectional
        self.logvar_bound = settings.logvar_bound
        self.mean = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)

    def forward(self, states: Tensor, mask: Tensor) -> DiagonalGaussian:
        """Return q(z | x); computed in single precision whatever the states are.

        Raises:
            ShapeError: mask and states differ in batch or length.
        """
        if states.shape[:2] != mask.shape:
            raise ShapeError(
                f"states are (batch, length) = {tuple(states.shape[:2])} but the mask is {tuple(mask.shape)}."
            )
        with torch.autocast(states.device.type, enabled=False):
            pooled = self.pool(states.float(), mask.bool(), self.is_bidirectional)
            logvar = self.logvar_bound * torch.tanh(self.logvar(pooled) / self.logvar_bound)
            return DiagonalGaussian(self.mean(pooled), logvar)
