"""The language model: the decoder alone, the baseline that a VAE must beat.

It is the model with a latent of no dimensions. Nothing is encoded and nothing
is heard of z, so KL and information are 0, every importance weight is p(x)
itself, and each measure and use works on it as on any other.
"""

import torch
from torch import Tensor

from textvae.encoders.base import Encoder
from textvae.posteriors import DiagonalGaussian, Posterior


class NoEncoder(Encoder):
    """Reads nothing."""

    hidden = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return states of no size, (batch, length, 0)."""
        return torch.zeros(*input_ids.shape, 0, device=input_ids.device)


class NoPosterior(Posterior):
    """The point in a space of no dimensions."""

    def forward(self, states: Tensor, mask: Tensor) -> DiagonalGaussian:
        """Return mean and logvar of (batch, 0)."""
        point = states.new_zeros(len(states), 0)
        return DiagonalGaussian(point, point)
