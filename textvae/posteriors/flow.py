"""A normalising-flow posterior: a Gaussian bent by an invertible map that listens to the sentence.

As in Kingma et al. 2016 (arXiv:1606.04934), with affine couplings in place of
inverse autoregressive layers: for those the density of a z that they did not
draw themselves takes one pass a dimension, and importance sampling and mutual
information ask for it. The KL is the estimate at one draw.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.posteriors.base import Posterior, PosteriorSettings
from textvae.posteriors.coupling import CouplingFlow
from textvae.posteriors.distribution import Distribution
from textvae.posteriors.gaussian_distribution import DiagonalGaussian
from textvae.posteriors.log_variance import bounded, log_variance_map

PAIRS = 2**17  # of a z and a sentence, through the map at once


@dataclass(frozen=True)
class Flowed(Distribution):
    """The image of a Gaussian under an invertible map.

    Shapes:
        mean: (batch, latent), the image of the Gaussian's mean (not the mean of the image)
        center, logvar: (batch, latent), of the Gaussian
        context: (batch, context), what the map knows of the sentence
    """

    center: Tensor
    logvar: Tensor
    context: Tensor
    flow: CouplingFlow

    @property
    def gaussian(self) -> DiagonalGaussian:
        """What is bent."""
        return DiagonalGaussian(self.center, self.logvar)

    def sample(self) -> Tensor:
        """Draw one z per sentence, (batch, latent)."""
        image: Tensor = self.flow(self.gaussian.sample(), self.context)
        return image

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""
        origin, slope = self.flow.inverse(z, self.context)
        return self.gaussian.log_prob(origin) - slope

    def pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), on the map's device and a bounded number at once."""
        weight = next(self.flow.parameters())
        here = self.map(lambda tensor: tensor.to(weight))
        blocks = z.to(weight).split(max(1, PAIRS // len(self.mean)))
        return torch.cat([here.log_prob(block.unsqueeze(1)) for block in blocks]).to(z)


class FlowSettings(PosteriorSettings):
    """The size of the map."""

    kind: Literal["flow"] = "flow"
    layers: int = Field(4, gt=0, description="couplings, each moving one half of z")
    context: int = Field(32, gt=0, description="numbers the map knows of the sentence")
    width: int = Field(32, gt=0, description="hidden units of each coupling")
    logvar_bound: float = Field(6.0, gt=0, description="|log variance| of the Gaussian stays below this, in nats")


class FlowPosterior(Posterior):
    """One bent Gaussian per sentence."""

    Settings = FlowSettings
    distribution = Flowed
    least_latent = 2

    def __init__(self, settings: FlowSettings, hidden: int, latent: int, is_bidirectional: bool) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.logvar_bound = settings.logvar_bound
        self.mean = nn.Linear(self.width, latent)
        self.logvar = log_variance_map(self.width, latent)
        self.context = nn.Linear(self.width, settings.context)
        self.flow = CouplingFlow(settings.layers, latent, settings.context, settings.width)

    def head(self, pooled: Tensor) -> Flowed:
        """Return the Gaussian with its map."""
        center, context = self.mean(pooled), self.context(pooled)
        logvar = bounded(self.logvar(pooled), self.logvar_bound)
        return Flowed(self.flow(center, context), center, logvar, context, self.flow)
