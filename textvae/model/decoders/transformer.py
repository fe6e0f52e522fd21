"""Transformer decoders: any causal architecture of Hugging Face, with random weights."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoModel,
    Cache,
    DynamicCache,
    PreTrainedModel,
)

from textvae.errors import ConfigError
from textvae.model.architectures import (
    CACHE_NAME,
    build_architecture_config,
    fuse_activations,
    has_key_value_cache,
    is_causal,
    unfreeze_padding_embedding,
)
from textvae.model.conditioning import Signals
from textvae.model.decoders.base import Decoder
from textvae.model.kernels.attention import speed_up_attention
from textvae.model.kernels.dropout import replace_dropouts
from textvae.model.part import VECTORS_HELP
from textvae.schema import LayerCount, PartSettings, Size


class TransformerDecoderSettings(PartSettings):
    """An architecture and its sizes; `options` are further fields of the architecture's config."""

    kind: Literal["transformer"] = "transformer"
    architecture: str = Field(
        "gpt2", description="a causal model type of transformers: gpt2, llama ..."
    )
    hidden: Size = Field(256, description="size of a state")
    layers: LayerCount = Field(4, description="number of layers")
    heads: Size = Field(4, description="number of attention heads")
    positions: Size = Field(514, description="length of the longest text, in tokens")
    prefix: Size = Field(4, description="number of prefix vectors, if z is a prefix")
    vectors: str | None = Field(None, description=VECTORS_HELP)
    options: dict[str, Any] = Field(
        {}, description="further fields of the config of the architecture"
    )


class TransformerDecoder(Decoder):
    """A causal transformer with z in its embeddings, in a prefix or in its output."""

    Settings = TransformerDecoderSettings
    # Where z is added to the embeddings, training is much slower; docs/benchmarks/sentences.md has
    # the numbers.
    default_conditioning = ("prefix", "output")

    def __init__(
        self, settings: TransformerDecoderSettings, vocab: int, latent: int, channels: Sequence[str]
    ) -> None:
        super().__init__()
        self.prefix = settings.prefix if "prefix" in channels else 0
        self.max_length = settings.positions - self.prefix
        self.signal_shapes = {
            "embedding": (settings.hidden,),
            "prefix": (settings.prefix, settings.hidden),
            "output": (settings.hidden,),
        }
        config = build_architecture_config(settings, vocab, "model.decoder")
        # The model without its language-modeling head: the projection to the vocabulary
        # is fused with the loss elsewhere.
        body = AutoModel.from_config(config, trust_remote_code=False)
        self.body = speed_up_attention(
            fuse_activations(replace_dropouts(unfreeze_padding_embedding(body)))
        )
        _check_can_generate(self.body, settings.architecture)
        self.bias = nn.Parameter(torch.zeros(vocab))

    @property
    def embed(self) -> nn.Module:  # type: ignore[override]
        """The architecture's own embedding."""
        module: nn.Module = self.body.get_input_embeddings()
        return module

    @property
    def output_weight(self) -> Tensor:
        """The weights of the projection, (vocab, hidden): always those of the embedding."""
        weight: Tensor = self.body.get_input_embeddings().weight
        return weight

    @property
    def output_bias(self) -> Tensor:
        """The bias of the projection, (vocab,)."""
        return self.bias

    def new_cache(self) -> DynamicCache:
        """Return an empty key-value cache."""
        return DynamicCache(config=self.body.config)

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache contains, without the prefix."""
        return max(0, int(cache.get_seq_length()) - self.prefix)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the states, (batch, length, hidden)."""
        embedded = self.embed(input_ids)
        if "embedding" in signals:
            embedded = embedded + signals["embedding"].to(embedded.dtype).unsqueeze(1)
        prefix_length = 0  # of the prefix vectors in this pass
        # Later passes find the prefix in the cache.
        if "prefix" in signals and (cache is None or cache.get_seq_length() == 0):
            prefix = signals["prefix"].to(embedded.dtype)
            embedded = torch.cat([prefix, embedded], dim=1)
            prefix_length = self.prefix
        # In training padding is on the right, where no real token sees it. Without a mask,
        # attention has its fast path, and a GPU is not asked whether there is padding.
        padding: dict[str, Any] = {}
        if cache is not None:
            padding = self._describe_padding(attention_mask, embedded.shape[1])
        states: Tensor = self.body(
            inputs_embeds=embedded,
            use_cache=cache is not None,
            **padding,
            **{CACHE_NAME: cache},
        ).last_hidden_state
        states = states[:, prefix_length:]
        if "output" in signals:
            states = states + signals["output"].unsqueeze(1)
        return states

    def _describe_padding(self, attention_mask: Tensor, length: int) -> dict[str, Tensor]:
        """Return the mask of tokens and prefix, and the positions of the last `length` of them.

        Positions count real tokens only. Otherwise a prompt that `generate` pads on the left
        would start at a later position than the same prompt alone.
        """
        if self.prefix:
            prefix_mask = attention_mask.new_ones(len(attention_mask), self.prefix)
            attention_mask = torch.cat([prefix_mask, attention_mask], dim=1)
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
        return {"attention_mask": attention_mask, "position_ids": positions[:, -length:]}


def _check_can_generate(body: PreTrainedModel, architecture: str) -> None:
    """Check that an architecture can generate text token by token.

    Raises:
        ConfigError: it sees the tokens that it should predict, or it has no key-value cache.
    """
    setting = f"model.decoder.architecture = {architecture!r}"
    instead = (
        "choose a causal architecture with a key-value cache, for instance gpt2, llama or qwen3"
    )
    if not is_causal(body.config):
        # BERT and its family have a causal mode, which their config switches on.
        is_switchable = (
            type(body.config) in MODEL_FOR_CAUSAL_LM_MAPPING and not body.config.is_encoder_decoder
        )
        switch = ", or set model.decoder.options to {is_decoder: true}" if is_switchable else ""
        raise ConfigError(f"{setting} sees the tokens that it should predict: {instead}{switch}.")
    if not has_key_value_cache(type(body), body.config):
        raise ConfigError(f"{setting} keeps no key-value cache to continue a text from: {instead}.")
