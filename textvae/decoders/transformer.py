"""Transformer decoders: any Hugging Face causal architecture, from its config, with random weights."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import AutoModel, Cache, DynamicCache

from textvae.conditioning import Signals
from textvae.decoders.base import Decoder
from textvae.dropout import cheapened
from textvae.parts import PartSettings
from textvae.transformer import architecture_config, embeds_every_word


class TransformerDecoderSettings(PartSettings):
    """An architecture and its sizes; `options` are further fields of that architecture's own config."""

    kind: Literal["transformer"] = "transformer"
    architecture: str = Field("gpt2", description="a causal model type of transformers: gpt2, llama ...")
    hidden: int = Field(256, gt=0)
    layers: int = Field(4, gt=0)
    heads: int = Field(4, gt=0)
    positions: int = Field(514, gt=0, description="longest text, in tokens")
    prefix: int = Field(4, gt=0, description="vectors that stand for z when it comes as a prefix")
    options: dict[str, Any] = Field({})


class TransformerDecoder(Decoder):
    """A causal transformer that hears z in its embeddings, as a prefix, or in its output."""

    Settings = TransformerDecoderSettings

    def __init__(self, settings: TransformerDecoderSettings, vocab: int, latent: int, heard: Sequence[str]) -> None:
        super().__init__()
        self.prefix = settings.prefix if "prefix" in heard else 0
        self.signal_shapes = {
            "embedding": (settings.hidden,),
            "prefix": (settings.prefix, settings.hidden),
            "output": (settings.hidden,),
        }
        config = architecture_config(settings, vocab, "model.decoder")
        self.body = cheapened(embeds_every_word(AutoModel.from_config(config, trust_remote_code=False)))
        self.bias = nn.Parameter(torch.zeros(vocab))

    @property
    def embed(self) -> nn.Module:  # type: ignore[override]
        """The architecture's own embedding."""
        module: nn.Module = self.body.get_input_embeddings()
        return module

    @property
    def output_weight(self) -> Tensor:
        """The embedding's own weights: always tied."""
        weight: Tensor = self.body.get_input_embeddings().weight
        return weight

    @property
    def output_bias(self) -> Tensor:
        """The projection's bias, (vocab,)."""
        return self.bias

    def new_cache(self) -> DynamicCache:
        """Return an empty key-value cache."""
        return DynamicCache(config=self.body.config)

    def tokens_read(self, cache: Cache) -> int:
        """Return how many tokens a cache has taken in; the prefix is none."""
        return max(0, int(cache.get_seq_length()) - self.prefix)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, signals: Signals, cache: Cache | None = None
    ) -> Tensor:
        """Return the states, (batch, length, hidden)."""
        embedded = self.embed(input_ids)
        if "embedding" in signals:
            embedded = embedded + signals["embedding"].to(embedded.dtype).unsqueeze(1)
        lead = 0
        if "prefix" in signals:
            attention_mask = torch.cat([attention_mask.new_ones(len(embedded), self.prefix), attention_mask], dim=1)
            if cache is None or cache.get_seq_length() == 0:
                embedded, lead = torch.cat([signals["prefix"].to(embedded.dtype), embedded], dim=1), self.prefix
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -embedded.shape[1] :]
        states: Tensor = self.body(
            inputs_embeds=embedded,
            attention_mask=attention_mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        states = states[:, lead:]
        return states + signals["output"].unsqueeze(1) if "output" in signals else states
