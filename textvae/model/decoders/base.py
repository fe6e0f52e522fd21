"""What every decoder is: previous tokens and signals of z in, one state per next token out."""

from abc import ABC, abstractmethod
from dataclasses import fields

from torch import Tensor, nn
from transformers import Cache
from transformers.generation import GenerateDecoderOnlyOutput

from textvae.model.conditioning import Signals
from textvae.schema import PartSettings

# The name by which the installed transformers passes a cache to and from models. A cache under
# the other name works token by token, but beam search then fails to reorder it.
_IS_CACHE = "cache" in {field.name for field in fields(GenerateDecoderOnlyOutput)}  # since 5.24


CACHE_NAME = "cache" if _IS_CACHE else "past_key_values"


class Decoder(nn.Module, ABC):
    """Writes a sentence, one token after another.

    The states it returns are projected to words with `output_weight`; that
    product belongs to the model, which can fuse it with the loss.

    Attributes:
        signal_shapes: the signals of z it can hear, with their shapes (batch left out).
        output_weight: (vocab, size of a returned state).
        output_bias: (vocab,).
    """

    Settings: type[PartSettings] = PartSettings
    signal_shapes: dict[str, tuple[int, ...]]
    embed: nn.Module

    @property
    @abstractmethod
    def output_weight(self) -> Tensor:
        """The projection from a state to scores over the vocabulary."""

    @property
    @abstractmethod
    def output_bias(self) -> Tensor:
        """The projection's bias."""

    @abstractmethod
    def new_cache(self) -> Cache:
        """Return an empty state for generation."""

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache has taken in."""
        return int(cache.get_seq_length())

    @abstractmethod
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return one state per input token, (batch, length, size), and fill the cache if there is one.

        Shapes:
            input_ids: (batch, length); in training padded on the right
            attention_mask: (batch, cached length + length); with a cache, padding is on the left
        """
