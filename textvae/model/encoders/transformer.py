"""Transformer encoders: any encoder architecture of Hugging Face, with random weights."""

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn
from transformers import AutoModel

from textvae.model.architectures import (
    build_architecture_config,
    fuse_activations,
    unfreeze_padding_embedding,
)
from textvae.model.encoders.base import Encoder
from textvae.model.kernels.attention import speed_up_attention
from textvae.model.kernels.dropout import replace_dropouts
from textvae.model.part import VECTORS_HELP
from textvae.schema import LayerCount, PartSettings, Size


class TransformerEncoderSettings(PartSettings):
    """An architecture and its sizes; `options` are further fields of the architecture's config."""

    kind: Literal["transformer"] = "transformer"
    architecture: str = Field(
        "bert", description="a model type of transformers: bert, roberta, modernbert ..."
    )
    hidden: Size = Field(256, description="size of a state")
    layers: LayerCount = Field(4, description="number of layers")
    heads: Size = Field(4, description="number of attention heads")
    positions: Size = Field(514, description="length of the longest text, in tokens")
    vectors: str | None = Field(None, description=VECTORS_HELP)
    options: dict[str, Any] = Field(
        {}, description="further fields of the config of the architecture"
    )


class TransformerEncoder(Encoder):
    """A bidirectional transformer."""

    Settings = TransformerEncoderSettings

    def __init__(self, settings: TransformerEncoderSettings, vocab: int) -> None:
        super().__init__()
        self.hidden = settings.hidden
        config = build_architecture_config(settings, vocab, "model.encoder")
        body = AutoModel.from_config(config, trust_remote_code=False)
        self.body = speed_up_attention(
            fuse_activations(replace_dropouts(unfreeze_padding_embedding(body)))
        )
        # BERT's pooler serves classification. Here nothing uses its output, and
        # parameters without a gradient would stop DDP.
        if "pooler" in dict(self.body.named_children()):
            self.body.pooler = None

    @property
    def embed(self) -> nn.Module:
        """The architecture's own embedding."""
        module: nn.Module = self.body.get_input_embeddings()
        return module

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last layer's states, (batch, length, hidden)."""
        # Embeddings instead of ids, because RoBERTa and others derive positions
        # from the ids and would take token 0 for padding.
        embedded = self.body.get_input_embeddings()(input_ids)
        states: Tensor = self.body(
            inputs_embeds=embedded, attention_mask=attention_mask
        ).last_hidden_state
        return states
