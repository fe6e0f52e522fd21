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

from textvae.model.posteriors.base import Posterior, PosteriorSettings
from textvae.model.posteriors.distribution import (
    DiagonalGaussian,
    Distribution,
    bound_logvar,
    make_logvar_layer,
)


class _AffineCoupling(nn.Module):
    """One layer, after which the halves change places; it starts as no more than that.

    Shapes:
        z: (..., batch, latent)
        context: (batch, context)
        returns z and log |det of the derivative|, (..., batch)
    """

    def __init__(self, latent: int, context: int, width: int) -> None:
        super().__init__()
        self.kept = latent // 2
        self.from_z = nn.Linear(self.kept, width)
        self.from_context = nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, 2 * (latent - self.kept))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def change(self, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and log-scale, the latter within (-2, 2)."""
        hidden = torch.relu(self.from_z(kept) + self.from_context(context))
        shift, scale = self.out(hidden).chunk(2, dim=-1)
        return shift, 2 * torch.tanh(scale / 2)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of z."""
        kept, moved = z[..., : self.kept], z[..., self.kept :]
        shift, scale = self.change(kept, context)
        return torch.cat([moved * scale.exp() + shift, kept], dim=-1), scale.sum(-1)

    def inverse(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the z whose image it is, and the log-determinant at that z."""
        size = image.shape[-1] - self.kept
        moved, kept = image[..., :size], image[..., size:]
        shift, scale = self.change(kept, context)
        kept = kept.expand(*shift.shape[:-1], -1)  # where z has yet to meet the contexts
        return torch.cat([kept, (moved - shift) * (-scale).exp()], dim=-1), scale.sum(-1)


class CouplingFlow(nn.Module):
    """Several couplings; in single precision, also under autocast."""

    def __init__(self, layers: int, latent: int, context: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [_AffineCoupling(latent, context, width) for _ in range(layers)]
        )

    def forward(self, z: Tensor, context: Tensor) -> Tensor:
        """Return the image of z, (..., batch, latent)."""
        with torch.autocast(z.device.type, enabled=False):
            for layer in self.layers:
                z, _ = layer(z, context)
        return z

    def inverse(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the z whose image it is, and the sum of the log-determinants there."""
        z, total = image, image.new_zeros(())
        with torch.autocast(z.device.type, enabled=False):
            for layer in reversed(list(self.layers)):
                assert isinstance(layer, _AffineCoupling)
                z, slope = layer.inverse(z, context)
                total = total + slope
        return z, total


_MAX_PAIRS_PER_PASS = 2**17  # of a z and a sentence, through the map at once


@dataclass(frozen=True)
class _FlowDistribution(Distribution):
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

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), on the map's device and a bounded number at once."""
        weight = next(self.flow.parameters())
        here = self.map(lambda tensor: tensor.to(weight))
        blocks = z.to(weight).split(max(1, _MAX_PAIRS_PER_PASS // len(self.mean)))
        return torch.cat([here.log_prob(block.unsqueeze(1)) for block in blocks]).to(z)


class FlowSettings(PosteriorSettings):
    """The size of the map."""

    kind: Literal["flow"] = "flow"
    layers: int = Field(4, gt=0, description="couplings, each moving one half of z")
    context: int = Field(32, gt=0, description="numbers the map knows of the sentence")
    width: int = Field(32, gt=0, description="hidden units of each coupling")
    logvar_bound: float = Field(
        6.0, gt=0, description="|log variance| of the Gaussian stays below this, in nats"
    )


class FlowPosterior(Posterior):
    """One bent Gaussian per sentence."""

    Settings = FlowSettings
    distribution = _FlowDistribution
    min_latent = 2

    def __init__(
        self, settings: FlowSettings, hidden: int, latent: int, is_bidirectional: bool
    ) -> None:
        super().__init__(settings, hidden, latent, is_bidirectional)
        self.logvar_bound = settings.logvar_bound
        self.mean = nn.Linear(self.width, latent)
        self.logvar = make_logvar_layer(self.width, latent)
        self.context = nn.Linear(self.width, settings.context)
        self.flow = CouplingFlow(settings.layers, latent, settings.context, settings.width)

    def head(self, pooled: Tensor) -> _FlowDistribution:
        """Return the Gaussian with its map."""
        center, context = self.mean(pooled), self.context(pooled)
        logvar = bound_logvar(self.logvar(pooled), self.logvar_bound)
        return _FlowDistribution(self.flow(center, context), center, logvar, context, self.flow)
