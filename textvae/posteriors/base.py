"""What every posterior is: the encoder's states in, a distribution over z out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from textvae.parts import PartSettings
from textvae.posteriors.gaussian_distribution import DiagonalGaussian


class Posterior(nn.Module, ABC):
    """Maps a sentence's states to q(z | x)."""

    Settings: type[PartSettings] = PartSettings

    @abstractmethod
    def forward(self, states: Tensor, mask: Tensor) -> DiagonalGaussian:
        """Return q(z | x).

        Shapes:
            states: (batch, length, hidden)
            mask:   (batch, length), non-zero on real tokens
        """
