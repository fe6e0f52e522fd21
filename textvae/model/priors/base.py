"""What every prior is: a density over z to sample from and to measure against."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from textvae.model.posteriors import Distribution, Posterior
from textvae.schema import PartSettings


class Prior(nn.Module, ABC):
    """p(z).

    Attributes:
        is_learned: whether it has parameters; they train with the decoder's side.
        is_spherical: whether z is on a sphere, of radius sqrt(latent).
        is_factorised: whether the KL of a diagonal Gaussian to it is a sum over dimensions.
        needs_labels: whether it is made of the labels of a conditional model.
        posteriors: the kinds it works with; None for every one that is on a sphere if it is, and is not if not.
    """

    Settings: type[PartSettings] = PartSettings
    is_learned: ClassVar[bool] = False
    is_spherical: ClassVar[bool] = False
    is_factorized: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    posteriors: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, settings: PartSettings, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """See the posterior it is the prior of, and the training sentences of each label; once, while it is built."""

    def conditional_on(self, label_ids: Tensor | None) -> "Prior":
        """Return p(z | y) of a batch of labels, (batch,) or (1,) for all; most priors are the same for all labels."""
        return self

    def relabel(self, z: Tensor, label_ids: Tensor, to: Tensor) -> Tensor:
        """Return the z, (batch, latent), that is to the labels `to` what z is to its own."""
        return z

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), on the CPU, so that every device gets the same draws."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: (...) for z of (..., latent)."""

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return KL(q(z | x) || p(z)) in nats.

        Where there is a closed form, that: (batch, latent), per dimension, if it
        is a sum over them, else (batch, 1). Where there is none, the estimate
        log q(z | x) - log p(z), (batch, 1), at one draw z, (batch, latent).
        """
        return (posterior.log_prob(z) - self.log_prob(z)).unsqueeze(1)
