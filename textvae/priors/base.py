"""What every prior is: a density over z to sample from and to measure against."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from textvae.parts import PartSettings
from textvae.posteriors import DiagonalGaussian


class Prior(nn.Module, ABC):
    """p(z)."""

    Settings: type[PartSettings] = PartSettings

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: (...) for z of (..., latent)."""

    @abstractmethod
    def kl(self, posterior: DiagonalGaussian) -> Tensor:
        """Return KL(q(z | x) || p(z)) in nats per dimension, (batch, latent)."""
