"""The technique contract: hooks that default to nothing.

A technique changes training, never the score: the ELBO that is reported uses
the unshaped terms, with nothing corrupted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.model.posteriors import Distribution
from textvae.schema import PartSettings


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        step: optimizer steps taken.
        fraction: share of the planned run that is over, 0 to 1; after a prelude, of what follows it.
        is_prelude: whether what is learnt now is only a start, its decoder to be dropped; `fraction` is 0 then.
    """

    step: int
    fraction: float
    is_pretraining: bool = False


TrainEncoder = Callable[
    [int], float
]  # takes that many steps of the encoder alone; returns their loss, nats a token


@dataclass(frozen=True)
class ModelFacts:
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
    def needs_logvar(self) -> bool:
        """Whether it asks for Gaussian posteriors: a mean and a log-variance."""
        return False

    @property
    def needs_density(self) -> bool:
        """Whether it asks for the density of z under the posterior."""
        return False

    @property
    def needs_kl_per_dimension(self) -> bool:
        """Whether it asks for the KL of each dimension, not only for their sum."""
        return False

    @property
    def replaced_terms(self) -> frozenset[str]:
        """The parts of the objective it puts something else in the place of (see combination.py)."""
        return frozenset()

    @property
    def required_terms(self) -> frozenset[str]:
        """The parts of the objective that must be the ELBO's own for it."""
        return frozenset()

    @property
    def matches_prior(self) -> bool:
        """Whether it draws the latents of all sentences together to the prior, in the KL's place."""
        return False

    @property
    def penalizes_kl(self) -> bool:
        """Whether information in z costs anything; where not, the best model is not the one of the best ELBO."""
        return True

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Return them with every `auto` worked out for this KL target, in nats, and latent size."""
        return self


class Technique:
    """One remedy for posterior collapse, or one regulariser.

    Attributes:
        module: weights of its own, trained beside the model's, kept in checkpoints and left out of the finished model.
        prelude: share of the run after which the decoder begins anew with fresh weights, and the run proper begins.
        holds_encoder: whether the steps leave the encoder as it is, for `before_step` trains it.
    """

    Settings: type[TechniqueSettings] = TechniqueSettings
    module: nn.Module | None = None
    pretraining_share: float = 0.0
    freezes_encoder: bool = False

    def __init__(self, settings: Any, facts: ModelFacts) -> None:
        self.settings = settings
        self.facts = facts

    def before_step(self, train_encoder: TrainEncoder) -> None:
        """Train the encoder alone before a step; not asked for during a prelude."""

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch to train on."""
        return batch

    def refine_posterior(
        self, posterior: Distribution, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> Distribution:
        """Return the posterior to draw z from and to pay the KL of, from the encoder's."""
        return posterior

    def draw(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return the z to decode, from the one drawn; both (batch, latent)."""
        return latent

    def observe_kl(self, kl: Tensor, progress: Progress) -> None:
        """Look at the true KL, (batch, latent) in nats, before any technique shapes it.

        Once a step (or batch accumulated to it): neither in a prelude nor in steps of the encoder alone.
        """

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL that is paid for, (batch, latent) in nats, from the true one."""
        return kl

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor | float:
        """Return a further loss, a scalar in nats a sentence, from what the model gave for a batch."""
        return 0.0

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """Look at the measures of the validation split, as `evaluate` returns them; not during a prelude."""

    @property
    def kl_target(self) -> float | None:
        """The KL in nats this technique steers to, if it does."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know, as JSON."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
