"""A learned linear map from z to an initial state, a prefix, or an offset."""

import math

import torch
from torch import Tensor, nn

from textvae.model.conditioning.base import Conditioning


class LinearConditioning(Conditioning):
    """The signal is an affine function of z.

    As `initial_state` it is the first state of the recurrence (Bowman et al.
    2016, arXiv:1511.06349); as `embedding` it is added to every input embedding
    (Optimus, Li et al. 2020, arXiv:2004.04092); as `prefix` it is a few vectors
    that every token attends to; as `output` it is added to every state that is
    projected to the vocabulary (skip connections, Dieng et al. 2019,
    arXiv:1807.04863).

    Args:
        initial_std: standard deviation that the signal of z ~ N(0, I) has before training;
            if None, the map is initialized as `nn.Linear` does it.
    """

    def __init__(
        self, latent: int, shape: tuple[int, ...], initial_std: float | None = None
    ) -> None:
        super().__init__(latent, shape)
        self.map = nn.Linear(latent, math.prod(shape))
        if initial_std is not None:
            # A sum of `latent` independent terms has `latent` times the variance of
            # one. A language model has latent = 0, where the quotient is undefined.
            weight_std = initial_std / math.sqrt(max(latent, 1))
            nn.init.normal_(self.map.weight, std=weight_std)
            nn.init.zeros_(self.map.bias)

    @torch.no_grad()
    def start_from(self, signal: Tensor, std: float) -> None:
        """Initialize the map so that the signal is a constant plus a small part that depends on z.

        Args:
            signal: the constant, of the shape of one sentence's signal.
            std: standard deviation of the part that depends on z, for z ~ N(0, I).
        """
        nn.init.normal_(self.map.weight, std=std / math.sqrt(max(self.latent, 1)))
        self.map.bias.copy_(signal.flatten())

    def forward(self, z: Tensor) -> Tensor:
        """Return the signal, (batch, *shape)."""
        signal: Tensor = self.map(z)
        return signal.view(len(z), *self.shape)
