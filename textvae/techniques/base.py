"""The technique contract: hooks that default to nothing.

A technique changes training, never the score: the ELBO that is reported uses
the unshaped terms, with nothing corrupted.
"""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from textvae.batching import Batch
from textvae.parts import PartSettings


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        step: optimizer steps taken.
        fraction: share of the planned run that is over, 0 to 1.
    """

    step: int
    fraction: float


@dataclass(frozen=True)
class Facts:
    """What a technique may need to know of the model and its tokens.

    Attributes:
        latent: size of z.
        start_id, blank_id: the start token, and one that stands for a hidden word.
    """

    latent: int
    start_id: int
    blank_id: int


class TechniqueSettings(PartSettings):
    """The settings of a technique."""

    @property
    def needs_logvar(self) -> bool:
        """Whether it asks for Gaussian posteriors: a mean and a log-variance."""
        return False

    @property
    def needs_kl_per_dimension(self) -> bool:
        """Whether it asks for the KL of each dimension, not only for their sum."""
        return False

    def resolved(self, kl_target: float, latent: int) -> Self:
        """Return them with every `auto` worked out for this KL target, in nats, and latent size."""
        return self


class Technique:
    """One remedy for posterior collapse, or one regulariser."""

    Settings: type[TechniqueSettings] = TechniqueSettings

    def __init__(self, settings: Any, facts: Facts) -> None:
        self.settings = settings
        self.facts = facts

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch to train on."""
        return batch

    def watch(self, kl: Tensor, progress: Progress) -> None:
        """Look at the true KL, (batch, latent) in nats, before any technique shapes it."""

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL that is paid for, (batch, latent) in nats, from the true one."""
        return kl

    def penalty(self, mean: Tensor, logvar: Tensor, progress: Progress) -> Tensor:
        """Return a further loss, a scalar, from the posteriors' mean and logvar, (batch, latent)."""
        return mean.new_zeros(())

    @property
    def kl_target(self) -> float | None:
        """The KL in nats this technique steers to, if it does."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know, as JSON."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
