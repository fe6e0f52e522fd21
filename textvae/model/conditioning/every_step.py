"""Feed z to every step of the recurrence, which then cannot forget it.

He et al. 2019 (arXiv:1901.05534).
"""

from torch import Tensor

from textvae.model.conditioning.base import Conditioning


class EveryStep(Conditioning):
    """The signal is z itself; the decoder concatenates it to every input embedding."""

    def forward(self, z: Tensor) -> Tensor:
        """Return z unchanged, (batch, latent)."""
        return z
