"""How z reaches the decoder: each conditioning turns z into one signal.

A decoder says under which names it can hear z and how large each signal is;
a conditioning of that name makes it. Several may be combined.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

Signals = Mapping[str, Tensor]


class Conditioning(nn.Module, ABC):
    """Maps z to one signal of the shape its decoder asks for."""

    def __init__(self, latent: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent = latent
        self.shape = shape

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Return the signal, (batch, *shape), for z of (batch, latent)."""
