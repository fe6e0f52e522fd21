"""The contract of a decoder: from previous tokens and signals of z to one state per next token."""

from abc import ABC, abstractmethod
from dataclasses import fields

from torch import Tensor, nn
from transformers import Cache
from transformers.generation import GenerateDecoderOnlyOutput

from textvae.model.conditioning import Signals
from textvae.schema import PartSettings

# The name under which the installed transformers passes a cache to and from models. A cache with
# the other name works token by token, but beam search then fails to reorder it.
# transformers renamed it in 5.24.
_OUTPUT_FIELDS = {field.name for field in fields(GenerateDecoderOnlyOutput)}
CACHE_NAME = "cache" if "cache" in _OUTPUT_FIELDS else "past_key_values"


class Decoder(nn.Module, ABC):
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
        output_bias: (vocab,).
        max_length: how many tokens it can read, the start token included; None without a limit.
    """

    Settings: type[PartSettings] = PartSettings
    signal_shapes: dict[str, tuple[int, ...]]
    embed: nn.Module
    max_length: int | None = None

    @property
    @abstractmethod
    def output_weight(self) -> Tensor:
        """The weights of the projection from a state to scores over the vocabulary."""

    @property
    @abstractmethod
    def output_bias(self) -> Tensor:
        """The bias of the projection."""

    @abstractmethod
    def new_cache(self) -> Cache:
        """Return an empty cache for generation."""

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache contains."""
        return int(cache.get_seq_length())

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
