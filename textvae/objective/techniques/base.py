"""The contract of a technique: hooks of the training step that do nothing by default.

A technique changes training, never the score: the ELBO that is reported uses the
unshaped terms and uncorrupted sentences. While the posterior is refitted at the end of
a run, no hook is called, except `corrupt` of a technique that damages the encoder's input.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.model.posteriors import Distribution
from textvae.schema import PartSettings

# Takes this many steps of the encoder alone; returns their mean loss in nats per token.
TrainEncoder = Callable[[int], float]


class Requirement(Enum):
    """What a technique may need from the posterior, the prior or the other techniques."""

    LOGVAR = "the mean and log-variance of a Gaussian posterior"
    DENSITY = "the density of z under the posterior"
    KL_PER_DIMENSION = "the KL of each dimension, not only their sum"
    ELBO_KL = "the KL of the ELBO, which no other technique replaces"
    PLAIN_LATENT = "a z to decode that no other technique chooses"


class ObjectiveTerm(Enum):
    """What a technique may replace in the objective."""

    KL = "the KL of the ELBO"
    INFORMATION_COST = (
        "any cost of information in z; the ELBO then does not show which model is best"
    )
    LATENT = "the z to decode, a plain sample of the posterior"


class CorruptedInput(Enum):
    """What a technique may damage during training."""

    ENCODER = "the words that the encoder reads"
    DECODER = "the words that the decoder reads"


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        step: the number of optimizer steps taken.
        fraction: the share of the planned run that is over, 0 to 1. It counts from the end
            of a pretraining phase to the beginning of a refit. It is 0 before and 1 after.
        is_pretraining: whether the run is in such a phase, whose decoder is thrown away.
        is_refit: whether the posterior is being refitted to the finished decoder.
    """

    step: int
    fraction: float
    is_pretraining: bool = False
    is_refit: bool = False


@dataclass(frozen=True)
class Refit:
    """A refit of the posterior to the finished decoder, at the end of a run.

    Attributes:
        share: the share of the run that it takes.
        rate: the learning rate with which it begins, as a share of the full one.
        moves_means: whether the whole encoder and posterior are trained; if not, only the
            variances are, so that what is decoded from the means stays as it is.
    """

    share: float
    rate: float
    moves_means: bool


@dataclass(frozen=True)
class EncoderTokens:
    """The special tokens of what the encoder reads.

    Attributes:
        frame_ids: the tokens around every sentence, which are no words.
        blank_id: the token that stands for a hidden word.
        pad_id: the token under padding.
    """

    frame_ids: tuple[int, ...]
    blank_id: int
    pad_id: int


@dataclass(frozen=True)
class ModelFacts:
    """What a technique may need to know about the model and its tokens.

    Attributes:
        latent: the size of z.
        vocab: the number of tokens that the decoder predicts.
        start_id, end_id, pad_id: the special tokens.
        blank_id: the token that stands for a hidden word.
        own_encoder_tokens: those of an encoder with a tokenizer of its own, or None.
    """

    latent: int
    vocab: int
    start_id: int
    blank_id: int
    end_id: int
    pad_id: int
    own_encoder_tokens: EncoderTokens | None = None

    @property
    def encoder_tokens(self) -> EncoderTokens:
        """The special tokens of what the encoder reads."""
        if self.own_encoder_tokens is not None:
            return self.own_encoder_tokens
        return EncoderTokens((self.start_id, self.end_id), self.blank_id, self.pad_id)


class TechniqueSettings(PartSettings):
    """The settings of a technique, and what they imply for the other parts of a run.

    A subclass overrides these properties with a class attribute, or with a property if
    the answer depends on its settings. objective/compatibility.py has the rules.
    """

    @property
    def requires(self) -> frozenset[Requirement]:
        """What the technique cannot work without."""
        return frozenset()

    @property
    def replaces(self) -> frozenset[ObjectiveTerm]:
        """The terms of the objective that the technique replaces with its own."""
        return frozenset()

    @property
    def corrupts(self) -> frozenset[CorruptedInput]:
        """The inputs that the technique damages during training."""
        return frozenset()

    @property
    def weights_kl(self) -> bool:
        """Whether the technique chooses the weight of the KL."""
        return False

    @property
    def matches_prior(self) -> bool:
        """Whether the technique matches the aggregate posterior to the prior without the KL."""
        return False

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Return the settings with a number in place of every `auto`.

        Args:
            kl_target: the KL target in nats per sentence.
            latent: the size of z.
        """
        return self


class Technique:
    """A remedy for posterior collapse, or a regularizer; a subclass overrides some hooks.

    Attributes:
        module: weights of the technique's own. They are trained and saved in checkpoints
            with the model's, and left out of the finished model.
        pretraining_share: the share of the run before the decoder starts again with fresh
            weights and the actual run begins.
        refit: how the posterior is refitted at the end of the run, or None.
        freezes_encoder: whether training steps leave the encoder unchanged, because
            `before_step` trains it.
    """

    Settings: type[TechniqueSettings] = TechniqueSettings
    module: nn.Module | None = None
    pretraining_share: float = 0.0
    refit: Refit | None = None
    freezes_encoder: bool = False

    def __init__(self, settings: Any, facts: ModelFacts) -> None:
        self.settings = settings
        self.facts = facts

    def before_step(self, train_encoder: TrainEncoder) -> None:
        """Train the encoder alone before a step; not called during pretraining."""

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch to train on; the argument must not be changed in place."""
        return batch

    def refine_posterior(
        self, posterior: Distribution, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> Distribution:
        """Return the posterior to sample from, whose KL counts, in place of the encoder's."""
        return posterior

    def shape_latent(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return the z to decode, given the one that was sampled; both are (batch, latent)."""
        return latent

    def observe_kl(self, kl: Tensor, progress: Progress) -> None:
        """Observe the KL before any technique shapes it, (batch, latent) in nats.

        It is called for each batch that counts towards a step, but neither during
        pretraining nor in steps of the encoder alone.
        """

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL that enters the loss; argument and result are (batch, latent) in nats."""
        return kl

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor | float:
        """Return a further loss, a scalar in nats per sentence, from the model's output."""
        return 0.0

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """Observe the measures of the validation split; not called during pretraining."""

    @property
    def kl_target(self) -> float | None:
        """The KL in nats that this technique steers to, or None."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to know; it can be written as JSON."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
