"""Affine couplings: an invertible map of z, cheap both ways, that listens to the sentence.

Each layer shifts and scales one half of z by what a small network makes of the
other half and of the sentence's context (Dinh et al. 2017, arXiv:1605.08803);
the halves change places between layers. So the density of any given z is exact.
"""

import torch
from torch import Tensor, nn


class AffineCoupling(nn.Module):
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
        self.layers = nn.ModuleList([AffineCoupling(latent, context, width) for _ in range(layers)])

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
                assert isinstance(layer, AffineCoupling)
                z, slope = layer.inverse(z, context)
                total = total + slope
        return z, total
