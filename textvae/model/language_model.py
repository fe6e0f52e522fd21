"""The language model: the decoder alone, the baseline that a VAE must beat.

It is the model with a latent of no dimensions. Nothing is encoded and nothing
is heard of z, so KL and information are 0, every importance weight is p(x)
itself, and each measure and use works on it as on any other.
"""

import torch
from torch import Tensor

from textvae.model.encoders.base import Encoder
from textvae.model.posteriors import DiagonalGaussian, Posterior
from textvae.model.posteriors.base import PosteriorSettings


class NoEncoder(Encoder):
    """Reads nothing."""

    hidden = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return states of no size, (batch, length, 0)."""
        return torch.zeros(*input_ids.shape, 0, device=input_ids.device)


class NoPosterior(Posterior):
    """The point in a space of no dimensions."""

    distribution = DiagonalGaussian
    min_latent = 0

    def __init__(self) -> None:
        super().__init__(
            PosteriorSettings(kind="none"), NoEncoder.hidden, 0, NoEncoder.is_bidirectional
        )

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return mean and logvar of (batch, 0), as the pooled states are."""
        return DiagonalGaussian(pooled, pooled)
