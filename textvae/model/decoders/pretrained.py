"""Pretrained decoders: a causal language model, or the decoder of T5 or BART, conditioned on z.

z enters at the embeddings or, with `entry`, between two layers. The layers below the
entry are frozen and do not depend on z.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from transformers import (
    Cache,
    DynamicCache,
    EncoderDecoderCache,
    PreTrainedConfig,
    PreTrainedModel,
)

from textvae.errors import ConfigError
from textvae.model.bases.language_model import LanguageModel, select_decoder, without_dropout
from textvae.model.bases.layers import TwoPartCache, check_can_be_cut, choose_cut
from textvae.model.bases.lora import Trained
from textvae.model.bases.quantization import Bits, check_bits
from textvae.model.bases.settings import PretrainedSettings
from textvae.model.conditioning import Signals
from textvae.model.decoders.base import AUTO
from textvae.model.decoders.key_value_memory import KeyValueMemory
from textvae.model.decoders.language_model import SETTING, LanguageModelDecoder
from textvae.schema import Size

# How much z changes the memory before training, relative to the memory of the start token.
_MEMORY_SHARE_OF_Z = 0.1


class PretrainedDecoderSettings(PretrainedSettings):
    """A pretrained language model, what of it is trained, and where z enters."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(
        "HuggingFaceTB/SmolLM2-135M", description="a language model: a hub name or a folder"
    )
    train: Trained = Field("lora", description="what is trained: all, lora (adapters) or none")
    bits: Bits | None = Field(
        None,
        description="round the frozen matrices to 8 or 4 bits, which needs the package bitsandbytes",
    )
    entry: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="where z enters: 0 at the embeddings, 0.6 at 60 % of the layers",
    )
    prefix: Size = Field(4, description="number of prefix vectors, if z is a prefix")
    slots: int = Field(
        2, gt=0, le=4, description="number of keys and values per layer, if z is a memory"
    )

    @model_validator(mode="after")
    def check_bits(self) -> Self:
        """Refuse to train rounded weights.

        Raises:
            ConfigError: all weights are to be trained.
        """
        check_bits(self.bits, self.train, SETTING)
        return self


class PretrainedDecoder(LanguageModelDecoder):
    """A pretrained language model, with z in its embeddings, attention or output."""

    Settings = PretrainedDecoderSettings
    default_conditioning = AUTO

    def __init__(
        self,
        settings: PretrainedDecoderSettings,
        vocab: int,
        latent: int,
        channels: Sequence[str],
    ) -> None:
        super().__init__()
        self.prefix = settings.prefix if "prefix" in channels else 0
        self.slots = settings.slots if "memory" in channels else 0
        if settings.gradient_checkpointing and self.slots:
            raise ConfigError(
                f"{SETTING}.gradient_checkpointing does not work with the conditioning 'memory': "
                "transformers drops the keys and values of z when it computes a layer again. "
                "Choose another model.conditioning, for example prefix, or switch it off."
            )
        self.language_model = LanguageModel(
            settings,
            vocab,
            settings.entry,
            SETTING,
            uses_cross_attention="cross_attention" in channels,
            bits=settings.bits,
        )
        self.learning_rate = settings.choose_learning_rate()
        self.logit_cap = self.language_model.record.logit_cap
        self.has_frozen_layers_below = self.language_model.lower is not None
        upper = self.language_model.upper
        positions = getattr(upper.config, "max_position_embeddings", None)
        if positions is not None:
            self.max_length = positions - self.prefix - self.slots
        hidden = self.language_model.hidden
        self.signal_shapes = {
            "embedding": (hidden,),
            "prefix": (settings.prefix, hidden),
            "output": (hidden,),
        }
        if self.language_model.is_cross_attending:
            self.signal_shapes["cross_attention"] = (settings.slots, hidden)
        else:
            self.memory = KeyValueMemory(upper, settings.slots)
            self.signal_shapes["memory"] = self.memory.shape

    @classmethod
    def choose_conditioning(cls, base: PreTrainedConfig) -> tuple[str, ...]:
        """Return the conditionings that suit a base.

        The decoder of T5 or BART was trained to attend to the states of an encoder, so z gives it
        such states. A causal language model gets keys and values instead.
        """
        if base.is_encoder_decoder:
            return ("cross_attention", "output")
        return ("memory", "output")

    @classmethod
    def open_base(cls, settings: PretrainedDecoderSettings) -> tuple[Any, PreTrainedModel]:
        """Return the settings with a record of the base, and the base.

        Raises:
            ConfigError: the base is missing, cannot be a decoder, or cannot be cut at the entry.
        """
        completed, whole = super().open_base(settings)
        body = select_decoder(whole)
        cut = choose_cut(body, settings.entry, settings.name, SETTING)
        if cut:
            check_can_be_cut(body, cut, SETTING)
        return completed, whole

    def new_cache(self) -> Cache:
        """Return an empty cache; the first pass adds the keys and values of z."""
        model = self.language_model
        cache = DynamicCache(config=model.upper.config)
        if model.is_cross_attending:
            return EncoderDecoderCache(cache, DynamicCache(config=model.upper.config))
        if model.lower is None:
            return cache
        return TwoPartCache(DynamicCache(config=model.lower.config), cache)

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache contains, without the prefix and the memory."""
        tokens = int(cache.get_seq_length())
        if not isinstance(cache, TwoPartCache):
            tokens -= self.prefix + self.slots
        return max(0, tokens)

    @torch.no_grad()
    def compute_lower_states(
        self, embedded: Tensor, attention_mask: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """Return the states at the entry of z, (batch, length, hidden), without gradient."""
        lower_cache = cache.lower if isinstance(cache, TwoPartCache) else None
        return self.language_model.run_lower(embedded, attention_mask, lower_cache)

    def continue_from(
        self,
        states: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the states above the entry of z from those at the entry, (batch, length, hidden)."""
        model = self.language_model
        if isinstance(cache, TwoPartCache):
            cache = cache.upper
        if "embedding" in signals:
            states = states + signals["embedding"].to(states.dtype).unsqueeze(1)
        # Later passes find prefix and memory in the cache, but always in the mask.
        is_first_pass = cache is None or cache.get_seq_length() == 0
        added = self.prefix + self.slots
        if added:
            ones = attention_mask.new_ones(len(states), added)
            attention_mask = torch.cat([ones, attention_mask], dim=1)
        if "memory" in signals and is_first_pass:
            if cache is None:
                cache = DynamicCache(config=model.upper.config)
            self.memory.fill(cache, signals["memory"], model.upper)
        skipped = 0
        if "prefix" in signals and is_first_pass:
            states = torch.cat([signals["prefix"].to(states.dtype), states], dim=1)
            skipped = self.prefix
        encoder_states = signals.get("cross_attention")
        if encoder_states is not None:
            encoder_states = encoder_states.to(states.dtype)
        states = model.run_upper(states, attention_mask, cache, encoder_states)[:, skipped:]
        if "output" in signals:
            states = states + signals["output"].to(states.dtype).unsqueeze(1)
        if model.record.logit_scale != 1.0:
            states = states * model.record.logit_scale
        return states

    @torch.no_grad()
    def compute_first_signals(self, token: int) -> dict[str, tuple[Tensor, float]]:
        """Return how each signal of z starts: a constant, and the standard deviation of z's part.

        Prefix and memory start as what the language model has for its first token, which it
        expects before every text. What is added to states starts at zero.

        Args:
            token: the id of the start token.
        """
        hidden = self.language_model.hidden
        first = {"embedding": (torch.zeros(hidden), 0.0), "output": (torch.zeros(hidden), 0.0)}
        ids = torch.tensor([[token]], device=self.embed.weight.device)
        # Dropout would add noise, which would differ between the processes of a run.
        with without_dropout(self):
            states = self.embed(ids)
            if self.has_frozen_layers_below:
                states = self.compute_lower_states(states, torch.ones_like(ids))
            prefix = states[0].expand(self.signal_shapes["prefix"])
            first["prefix"] = (prefix, float(states.std()))
            if self.slots:
                memory = self.memory.compute_from_states(self.language_model.upper, states)
                first["memory"] = (memory, _MEMORY_SHARE_OF_Z * float(memory.std()))
        return first
