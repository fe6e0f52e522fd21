"""The diagonal Gaussian posterior, with a bounded log-variance.

The states are pooled to one vector (several poolings side by side), from which two linear maps give the mean
and the log-variance. The latter is squashed into (-bound, bound): a variance
that runs away makes the KL explode, and one that vanishes makes a plain
autoencoder.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.errors import ShapeError
from textvae.parts import PartSettings
from textvae.posteriors.base import Posterior
from textvae.posteriors.gaussian_distribution import DiagonalGaussian
from textvae.posteriors.pooling import POOLINGS


class GaussianPosteriorSettings(PartSettings):
    """How the states become one Gaussian."""

    kind: Literal["gaussian"] = "gaussian"
    pooling: tuple[Literal["mean", "max", "last"], ...] = Field(("last", "max"), min_length=1)
    logvar_bound: float = Field(6.0, gt=0, description="|log variance| stays below this, in nats")


class GaussianPosterior(Posterior):
    """One diagonal Gaussian per sentence."""

    Settings = GaussianPosteriorSettings

    def __init__(self, settings: GaussianPosteriorSettings, hidden: int, latent: int, is_bidirectional: bool) -> None:
        super().__init__()
        self.poolings = [POOLINGS[name] for name in settings.pooling]
        self.is_bidirectional = is_bidirectional
        self.logvar_bound = settings.logvar_bound
        self.mean = nn.Linear(hidden * len(self.poolings), latent)
        self.logvar = nn.Linear(hidden * len(self.poolings), latent)
        nn.init.zeros_(self.logvar.bias)
        nn.init.normal_(self.logvar.weight, std=0.01)  # training starts at unit variance

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
            parts = [pool(states.float(), mask.bool(), self.is_bidirectional) for pool in self.poolings]
            pooled = torch.cat(parts, dim=-1)
            logvar = self.logvar_bound * torch.tanh(self.logvar(pooled) / self.logvar_bound)
            return DiagonalGaussian(self.mean(pooled), logvar)
