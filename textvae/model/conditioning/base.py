"""The contract of a conditioning: it maps z to one signal for the decoder.

A decoder lists the names of the signals it supports and their shapes; the
conditioning of that name computes the signal. Several can be combined.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

Signals = Mapping[str, Tensor]


class Conditioning(nn.Module, ABC):
    """Maps z to one signal of the shape that the decoder expects.

    Args:
        latent: size of z, including the label's embedding in a conditional model.
        shape: shape of the signal, without the batch dimension.
    """

    def __init__(self, latent: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent = latent
        self.shape = shape

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Return the signal, (batch, *shape), for z of shape (batch, latent)."""
