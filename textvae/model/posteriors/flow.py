"""A normalizing-flow posterior: a Gaussian behind an invertible map that depends on the sentence.

This is the idea of Kingma et al. 2016 (arXiv:1606.04934), but with affine coupling
layers instead of inverse autoregressive ones. The density of an arbitrary z, not
sampled by the flow itself, takes one pass here and one pass per dimension there,
and importance sampling and mutual information need that density. The KL has no
closed form: it is estimated with one sample.
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
from textvae.schema import LayerCount, Size

_MAX_PAIRS_PER_PASS = 2**17  # pairs of a z and a sentence that go through the flow at once


class FlowSettings(PosteriorSettings):
    """Sizes of the flow, and the bound of the Gaussian's log-variance."""

    kind: Literal["flow"] = "flow"
    layers: LayerCount = Field(
        4, description="number of couplings, each of which changes one half of z"
    )
    context: Size = Field(32, description="size of the sentence's vector that the flow depends on")
    width: Size = Field(32, description="hidden units of each coupling")
    logvar_bound: float = Field(
        6.0, gt=0, description="bound of the Gaussian's |log variance|, in nats"
    )


class CouplingFlow(nn.Module):
    """A sequence of affine couplings, computed in single precision even under autocast.

    Shapes:
        z and its image: (..., batch, latent)
        context: (batch, context)
    """

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
        """Return the z with this image, and log |det dimage / dz| at that z, (..., batch)."""
        z = image
        log_determinant = image.new_zeros(())
        with torch.autocast(z.device.type, enabled=False):
            for layer in reversed(list(self.layers)):
                assert isinstance(layer, _AffineCoupling)
                z, of_layer = layer.inverse(z, context)
                log_determinant = log_determinant + of_layer
        return z, log_determinant


@dataclass(frozen=True)
class _FlowDistribution(Distribution):
    """The distribution of f(u) for a Gaussian u and an invertible f.

    Measures collect distributions on the CPU, while the flow's weights stay on the model's
    device: what needs the flow is computed there, and returned on the device of the tensors.

    Shapes:
        mean: (batch, latent), the image of the Gaussian's mean (not the mean of the image)
        center, logvar: (batch, latent), mean and log-variance of the Gaussian
        context: (batch, context), the sentence's vector that f depends on
    """

    center: Tensor
    logvar: Tensor
    context: Tensor
    flow: CouplingFlow

    @property
    def base_gaussian(self) -> DiagonalGaussian:
        """The distribution of u, before the flow."""
        return DiagonalGaussian(self.center, self.logvar)

    @property
    def _weight(self) -> Tensor:
        """A weight of the flow, which has its device and its type of numbers."""
        return next(self.flow.parameters())

    def sample(self) -> Tensor:
        """Sample one z per sentence, (batch, latent)."""
        u = self.base_gaussian.sample()
        image: Tensor = self.flow(u.to(self._weight), self.context.to(self._weight))
        return image.to(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of shape (..., batch, latent)."""
        # Change of variables: log q(f(u)) = log N(u) - log |det df / du|.
        u, log_determinant = self.flow.inverse(z.to(self._weight), self.context.to(self._weight))
        return self.base_gaussian.log_prob(u.to(self.mean)) - log_determinant.to(self.mean)

    def log_prob_pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) for all pairs, (rows, batch), a bounded number at a time.

        It runs on the flow's device; the result is on the device of z, (rows, latent).
        """
        on_device = self.map(lambda tensor: tensor.to(self._weight))
        blocks = z.to(self._weight).split(max(1, _MAX_PAIRS_PER_PASS // len(self.mean)))
        return torch.cat([on_device.log_prob(block.unsqueeze(1)) for block in blocks]).to(z)


class FlowPosterior(Posterior):
    """One transformed Gaussian per sentence."""

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

    def list_variance_weights(self) -> list[nn.Parameter]:
        """Return the weights of the Gaussian's log-variance; the mean is the flow of its center."""
        return list(self.logvar.parameters())

    def head(self, pooled: Tensor) -> _FlowDistribution:
        """Return the Gaussian and its flow."""
        center = self.mean(pooled)
        context = self.context(pooled)
        logvar = bound_logvar(self.logvar(pooled), self.logvar_bound)
        return _FlowDistribution(self.flow(center, context), center, logvar, context, self.flow)


class _AffineCoupling(nn.Module):
    """One coupling layer: one half of z determines shift and scale of the other.

    Dinh et al. 2017 (arXiv:1605.08803). Afterwards the halves swap, so that the next
    layer changes the other half. Before training, it only swaps them.

    Shapes:
        z: (..., batch, latent)
        context: (batch, context)
        returns z and log |det of the derivative|, (..., batch)
    """

    def __init__(self, latent: int, context: int, width: int) -> None:
        super().__init__()
        self.kept_size = latent // 2
        self.from_z = nn.Linear(self.kept_size, width)
        self.from_context = nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, 2 * (latent - self.kept_size))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of z and the log-determinant."""
        kept = z[..., : self.kept_size]
        changed = z[..., self.kept_size :]
        shift, log_scale = self.compute_shift_and_scale(kept, context)
        image = torch.cat([changed * log_scale.exp() + shift, kept], dim=-1)
        # Up to the order of the halves, the derivative is triangular, with exp(log_scale)
        # and ones on its diagonal.
        return image, log_scale.sum(-1)

    def inverse(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the z with this image, and the log-determinant of `forward` at that z."""
        size = image.shape[-1] - self.kept_size
        changed = image[..., :size]
        kept = image[..., size:]
        shift, log_scale = self.compute_shift_and_scale(kept, context)
        # For all pairs, z is (rows, 1, latent), and only the context brings the batch
        # dimension. `cat` does not broadcast, unlike the arithmetic.
        kept = kept.expand(*shift.shape[:-1], -1)
        z = torch.cat([kept, (changed - shift) * (-log_scale).exp()], dim=-1)
        return z, log_scale.sum(-1)

    def compute_shift_and_scale(self, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and log-scale, each (..., batch, latent - kept size).

        The log-scale is within (-2, 2), so that no layer can explode.
        """
        hidden = torch.relu(self.from_z(kept) + self.from_context(context))
        shift, log_scale = self.out(hidden).chunk(2, dim=-1)
        return shift, 2 * torch.tanh(log_scale / 2)
