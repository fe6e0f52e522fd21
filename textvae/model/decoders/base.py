"""The contract of a decoder: from previous tokens and signals of z to one state per next token."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from torch import Tensor, nn
from transformers import Cache, PreTrainedConfig, PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.conditioning import Signals
from textvae.model.part import Part

AUTO: Final = "auto"  # in place of conditionings that are chosen when the base is known


class Decoder(Part, ABC):
    """Predicts a sentence, one token after another.

    The model projects the returned states to the vocabulary with `output_weight`
    and `output_bias`. The decoder does not do it itself, so that the model can
    fuse the projection with the loss.

    The constructor of every decoder takes

        settings: its own settings.
        vocab: number of tokens.
        latent: size of z, including the label's embedding in a conditional model.
        channels: names of the conditionings in use, which are keys of `signal_shapes`.

    Attributes:
        signal_shapes: the signals of z it supports and their shapes, without the batch dimension.
        output_weight: (vocab, size of a returned state).
        output_bias: (vocab,), or None.
        max_length: how many tokens it can read, the start token included; None without a limit.
        max_rows: how many texts are decoded at once at most, which bounds the memory of keys and
            values; None without a limit.
        logit_cap: soft cap of the logits, cap * tanh(logits / cap); None leaves them as they are.
        has_frozen_layers_below: whether z enters above frozen layers.
        starts_from_base: whether it has the weights and the tokens of a pretrained model.
        default_conditioning: the conditionings of a model whose settings name none; None for
            those of `ModelSettings`, and AUTO if they depend on the base.
        sampling_options: decoding options of samples for which a user names no option of sampling,
            by their names in `GenerationConfig`.
    """

    signal_shapes: dict[str, tuple[int, ...]]
    embed: nn.Module
    max_length: int | None = None
    max_rows: int | None = None
    logit_cap: float | None = None
    has_frozen_layers_below: bool = False
    starts_from_base: bool = False
    default_conditioning: ClassVar[tuple[str, ...] | Literal["auto"] | None] = None
    sampling_options: ClassVar[Mapping[str, float]] = MappingProxyType({})

    @classmethod
    def choose_conditioning(cls, base: PreTrainedConfig) -> tuple[str, ...]:
        """Return the conditionings that suit a base, for a decoder whose default is AUTO.

        Args:
            base: the base's own config.
        """
        raise NotImplementedError("the default conditionings do not depend on the base")

    @property
    @abstractmethod
    def output_weight(self) -> Tensor:
        """The weights of the projection from a state to scores over the vocabulary."""

    @property
    @abstractmethod
    def output_bias(self) -> Tensor | None:
        """The bias of the projection; None if it has no bias, as in most pretrained decoders."""

    @abstractmethod
    def new_cache(self) -> Cache:
        """Return an empty cache for generation."""

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache contains."""
        return int(cache.get_seq_length())

    def adopt(self, whole: PreTrainedModel, rows: Sequence[int | None]) -> None:
        """Copy the weights of a base, as the model is built.

        Args:
            whole: the base, with its output layer.
            rows: the id of each token in the base's vocabulary; None for a token that it lacks.
        """

    def compute_first_signals(self, token: int) -> dict[str, tuple[Tensor, float]]:
        """Return how each signal of z starts: a constant, and the standard deviation of z's part.

        Args:
            token: the id of the start token.
        """
        return {}

    def continue_from(
        self,
        states: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return what `forward` returns, from the states below the layers where z enters.

        The states are (batch, length, hidden); the other arguments are those of `forward`.

        Raises:
            ConfigError: z does not enter above frozen layers.
        """
        raise ConfigError("only a decoder with an entry above frozen layers has such states.")

    @abstractmethod
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return one state per input token, (batch, length, size), and update the cache, if any.

        Shapes:
            input_ids: (batch, length); in training padded on the right
            attention_mask: (batch, cached length + length); with a cache, padding is on the left
        """
