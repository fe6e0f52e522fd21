"""The technique contract: hooks that default to nothing.

A technique changes training, never the score: the ELBO that is reported uses
the unshaped terms, with nothing corrupted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from textvae.batching import Batch
from textvae.modeling import TextVAEModel, TextVAEOutput
from textvae.parts import PartSettings
from textvae.posteriors import DiagonalGaussian


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
        vocab: tokens the decoder writes.
        start_id, end_id, pad_id: the special tokens.
        blank_id: one that stands for a hidden word.
    """

    latent: int
    vocab: int
    start_id: int
    blank_id: int
    end_id: int
    pad_id: int


class TechniqueSettings(PartSettings):
    """The settings of a technique."""

    @property
    def owns(self) -> frozenset[str]:
        """The parts of the objective it puts something else in the place of (see combination.py)."""
        return frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """The parts of the objective that must be the ELBO's own for it."""
        return frozenset()

    @property
    def pays_kl(self) -> bool:
        """Whether information in z costs anything; where not, the best model is not the one of the best ELBO."""
        return True

    def resolved(self, kl_target: float, latent: int) -> Self:
        """Return them with every `auto` worked out for this KL target, in nats, and latent size."""
        return self


class Technique:
    """One remedy for posterior collapse, or one regulariser.

    Attributes:
        module: weights of its own, trained beside the model's, kept in checkpoints and left out of the finished model.
    """

    Settings: type[TechniqueSettings] = TechniqueSettings
    module: nn.Module | None = None

    def __init__(self, settings: Any, facts: Facts) -> None:
        self.settings = settings
        self.facts = facts

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch to train on."""
        return batch

    def refine(
        self, posterior: DiagonalGaussian, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> DiagonalGaussian:
        """Return the posterior to draw z from and to pay the KL of, from the encoder's."""
        return posterior

    def draw(
        self, latent: Tensor, posterior: DiagonalGaussian, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> Tensor:
        """Return the z to decode, from the one drawn; both (batch, latent)."""
        return latent

    def watch(self, kl: Tensor, progress: Progress) -> None:
        """Look at the true KL, (batch, latent) in nats, before any technique shapes it."""

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL that is paid for, (batch, latent) in nats, from the true one."""
        return kl

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor | float:
        """Return a further loss, a scalar in nats a sentence, from what the model gave for a batch."""
        return 0.0

    def after_look(self, record: Mapping[str, Any]) -> None:
        """Look at the measures of the validation split, as `evaluate` returns them."""

    @property
    def kl_target(self) -> float | None:
        """The KL in nats this technique steers to, if it does."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know, as JSON."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
