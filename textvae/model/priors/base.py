"""The contract of a prior: a density over z, with samples and with the KL of a posterior to it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from textvae.model.posteriors import Distribution, Posterior
from textvae.schema import PartSettings


class Prior(nn.Module, ABC):
    """p(z).

    Attributes:
        is_learned: whether it has parameters; they train together with the decoder's.
        is_spherical: whether z is on the sphere of radius sqrt(latent).
        is_factorized: whether the KL of a diagonal Gaussian to it is a sum over dimensions.
        needs_labels: whether it works in conditional models only.
        depends_on_label: whether it is the p(z | y) of given labels, which differs between rows.
        supported_posteriors: the kinds of posterior that it works with; None for all that have the
            same `is_spherical`.
    """

    Settings: type[PartSettings] = PartSettings
    is_learned: ClassVar[bool] = False
    is_spherical: ClassVar[bool] = False
    is_factorized: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    depends_on_label: ClassVar[bool] = False
    supported_posteriors: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, settings: PartSettings, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def set_label_counts(self, counts: Sequence[int]) -> None:
        """Take the numbers of training sentences of each label; only some priors use them."""

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """Prepare for a model with this posterior; the model calls it once, while it is built.

        Args:
            posterior: the posterior whose KL to this prior will be computed.
            label_counts: number of training sentences of each label, in a conditional model.
        """

    def conditional_on(self, label_ids: Tensor | None) -> "Prior":
        """Return p(z | y) for labels of shape (batch,), or (1,) if all rows share one.

        Most priors do not depend on the label and return themselves.
        """
        return self

    def relabel(self, z: Tensor, label_ids: Tensor, new_label_ids: Tensor) -> Tensor:
        """Map z, (batch, latent), from its label's prior to another label's; ids are (batch,).

        Most priors do not depend on the label and return z unchanged.
        """
        return z

    def project(self, z: Tensor) -> Tensor:
        """Return the point nearest to each z where the decoder has seen latents, (..., latent).

        Most priors cover all of space and return z unchanged.
        """
        return z

    @abstractmethod
    def center(self) -> Tensor:
        """Return the mean of p(z), (latent,), or of p(z | y), (batch, latent)."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent), on the CPU, so that all devices get the same samples."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: (...) for z of shape (..., latent)."""

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return KL(q(z | x) || p(z)) in nats, given one sample z of q, (batch, latent).

        Subclasses override it where there is a closed form. It is (batch, latent),
        per dimension, if it is a sum over dimensions, else (batch, 1). This method
        returns the unbiased estimate log q(z | x) - log p(z), (batch, 1).
        """
        return (posterior.log_prob(z) - self.log_prob(z)).unsqueeze(1)
