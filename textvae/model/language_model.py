"""The language model: the decoder alone, the baseline that a VAE has to beat.

It is the same model with a latent of no dimensions. Nothing is encoded, and only
a label, if there are labels, conditions the decoder. KL and mutual information are then 0 and
every importance weight is p(x) itself, so all measures, and all uses that need
no latent, work without a special case.
"""

import torch
from torch import Tensor

from textvae.model.encoders.base import Encoder
from textvae.model.posteriors import DiagonalGaussian, Posterior
from textvae.model.posteriors.base import PosteriorSettings


class NoEncoder(Encoder):
    """An encoder without parameters that ignores the sentence."""

    hidden = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return states of size 0, (batch, length, 0)."""
        return torch.zeros(*input_ids.shape, 0, device=input_ids.device)


class NoPosterior(Posterior):
    """The distribution over a space of no dimensions, which has one point."""

    # A Gaussian, since sums over its dimensions are then empty and give exactly 0.
    distribution = DiagonalGaussian
    min_latent = 0

    def __init__(self) -> None:
        super().__init__(
            PosteriorSettings(kind="none"), NoEncoder.hidden, 0, NoEncoder.is_bidirectional
        )

    def head(self, pooled: Tensor) -> DiagonalGaussian:
        """Return a Gaussian with mean and logvar of (batch, 0), the shape of the pooled states."""
        return DiagonalGaussian(pooled, pooled)
