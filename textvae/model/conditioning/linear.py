"""A learned linear map from z: to an initial state, an embedding offset or a prefix."""

import math

from torch import Tensor, nn

from textvae.model.conditioning.base import Conditioning


class LinearConditioning(Conditioning):
    """The signal is an affine function of z.

    As `initial_state` it is the state the recurrence starts from (Bowman et al.
    2016, arXiv:1511.06349); as `embedding` it is added to every input embedding
    (Optimus, Li et al. 2020, arXiv:2004.04092); as `prefix` it is a few vectors
    every token attends to; as `output` it is added to every state that is
    projected to words (skip connections, Dieng et al. 2019, arXiv:1807.04863).

    Args:
        spread: standard deviation, at first, of the signal of a z from N(0, I); without one, as `nn.Linear` begins.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], spread: float | None = None) -> None:
        super().__init__(latent, shape)
        self.map = nn.Linear(latent, math.prod(shape))
        if spread is not None:
            nn.init.normal_(
                self.map.weight, std=spread / math.sqrt(max(latent, 1))
            )  # a language model has none
            nn.init.zeros_(self.map.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Return the signal, (batch, *shape)."""
        signal: Tensor = self.map(z)
        return signal.view(len(z), *self.shape)
