"""Transformer encoders: any encoder architecture of Hugging Face, with random weights."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import AutoModel

from textvae.errors import ConfigError
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

_MAX_PADDING_EFFECT = 1e-4  # on a state, whose numbers are about 1


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


def check_architecture(settings: TransformerEncoderSettings) -> None:
    """Refuse an architecture that encodes no texts, or whose states depend on the padding.

    Two sentences are encoded by a small model, since transformers does not say which of its
    architectures can do so.

    Raises:
        ConfigError: it is one of those.
    """
    if not settings.options:  # which may say something about each layer
        settings = settings.model_copy(update={"layers": min(settings.layers, 2)})
    name = f"model.encoder.architecture = {settings.architecture!r}"
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        try:
            encoder = TransformerEncoder(settings, vocab=8).eval()
            ids = torch.tensor([[5, 6, 0, 0], [4, 5, 6, 7]])
            padded = encoder(ids, (ids > 0).long())[:1, :2]
            alone = encoder(ids[:1, :2], torch.ones(1, 2, dtype=torch.long))
        except ConfigError:
            raise
        except Exception as error:  # of any kind: the code is that of transformers' models
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigError(
                f"{name} cannot be used as an encoder of texts ({reason}); use bert, roberta or "
                "modernbert, for instance."
            ) from error
    if not torch.allclose(padded, alone, rtol=0, atol=_MAX_PADDING_EFFECT):
        raise ConfigError(
            f"{name} mixes the padding of a batch into its sentences, so that a latent would depend "
            "on the other sentences; use bert, roberta or modernbert, for instance."
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
