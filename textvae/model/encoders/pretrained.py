"""Pretrained encoders: BERT, ModernBERT, T5's encoder, a sentence-transformers model, ..."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.architectures import fuse_activations
from textvae.model.bases.layers import checkpoint_layers, scale_to_unit
from textvae.model.bases.lora import Trained, add_adapters, is_adapter, merge_adapters
from textvae.model.bases.pooling import Pooling, describe_pooling
from textvae.model.bases.roles import check_encoder
from textvae.model.bases.settings import (
    STATE_SCALE,
    BaseRecord,
    DropoutRate,
    PretrainedSettings,
    choose_dropout,
    make_dropout,
)
from textvae.model.bases.source import find_base, find_original
from textvae.model.bases.weights import (
    check_fingerprint,
    copy_weights,
    fingerprint_weights,
    load_encoder_model,
    name_base_weights,
)
from textvae.model.encoders.base import Encoder
from textvae.model.encoders.recurrent import CELLS, initialize_cells, run_layers
from textvae.model.kernels.attention import speed_up_attention
from textvae.model.kernels.dropout import replace_dropouts
from textvae.model.kernels.frozen_linear import cast_frozen_layers_once

_SETTING = "model.encoder"
_LESS_DROPOUT = 0.1  # than next to a frozen language model


class PretrainedEncoderSettings(PretrainedSettings):
    """A pretrained encoder, and what of it is trained."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="an encoder: a hub name or a folder",
    )
    train: Trained = Field("all", description="what is trained: all, lora (adapters) or none")
    states: Literal["tokens", "sentence"] = Field(
        "tokens",
        description="tokens: one state per token; sentence: the model's own sentence embedding",
    )
    lstm: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="size of a bidirectional LSTM that reads the states, per direction; 0: none",
    )
    dropout: DropoutRate = Field(
        0.0,
        description="on the states that the LSTM reads; auto: 0.3 with 5,000 training sentences or "
        "fewer, 0.1 with 28,000 or more",
    )

    @property
    def is_embedder(self) -> bool:
        """Whether the encoder gives the sentence embeddings of its base, unchanged."""
        return self.states == "sentence" and self.train == "none"

    @property
    def has_trained_states(self) -> bool:
        """Whether training changes the states from which the posterior is computed."""
        return self.train != "none" or self.lstm > 0

    def fit_to_corpus(self, sentences: int) -> Self:
        """Return the settings with a number as dropout, a little below the decoder's.

        Without an LSTM there is nothing that it could be applied to.
        """
        if self.dropout != "auto":
            return self
        if not self.lstm:
            return self.model_copy(update={"dropout": 0.0})
        rate = round(choose_dropout(sentences) - _LESS_DROPOUT, 2)
        return self.model_copy(update={"dropout": rate})

    @model_validator(mode="after")
    def check_lstm(self) -> Self:
        """Refuse an LSTM over a single state.

        Raises:
            ConfigError: there is one state per sentence.
        """
        if self.lstm and self.states == "sentence":
            raise ConfigError(
                "model.encoder.lstm reads the states of tokens, and model.encoder.states = "
                "'sentence' leaves a single one: set states = tokens, or lstm = 0."
            )
        return self


class PretrainedEncoder(Encoder):
    """A pretrained encoder with its own tokens.

    Attributes:
        has_sentence_state: whether it returns one state per sentence, the embedding that the
            base was trained to give, instead of one state per token.
    """

    Settings = PretrainedEncoderSettings
    has_own_tokens = True

    def __init__(self, settings: PretrainedEncoderSettings, vocab: int) -> None:
        super().__init__()
        record = settings.require_base(_SETTING)
        self.settings = settings
        self.body = build_encoder(record)
        self.hidden = int(self.body.config.hidden_size)
        if settings.states == "sentence" and record.pooling is not None:
            self.hidden *= len(record.pooling.names)
        self.has_sentence_state = settings.states == "sentence"
        self.pooling = record.pooling
        self.state_scale = record.state_scale
        self.has_fixed_states = settings.train == "none"
        self.learning_rate = settings.choose_learning_rate()
        self.forwards = nn.ModuleList()
        self.backwards = nn.ModuleList()
        self.dropout = make_dropout(settings.dropout)
        if settings.lstm:
            self._add_lstm(settings.lstm)
        if settings.train == "lora":
            add_adapters(self.body, settings.lora, _SETTING)
        self.freeze()
        if settings.train != "all":
            cast_frozen_layers_once(self.body)
        if settings.gradient_checkpointing:
            checkpoint_layers(self.body, _SETTING)

    def _add_lstm(self, size: int) -> None:
        """Add an LSTM that reads embeddings and last states in both directions."""
        for direction in (self.forwards, self.backwards):
            cells = CELLS["lstm"](2 * self.hidden, size, batch_first=True)
            initialize_cells(cells)
            direction.append(cells)
        self.is_bidirectional = True
        self.hidden = 2 * size

    def freeze(self) -> None:
        """Freeze what is not trained."""
        for name, value in self.named_parameters():
            value.requires_grad_(not self._is_frozen(name))

    def _is_frozen(self, name: str) -> bool:
        """Return whether the weight of this name is not trained."""
        is_base = name.startswith("body.")
        return is_base and self.settings.train != "all" and not is_adapter(name)

    def base_parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights of the base and its adapters."""
        parameters: Iterator[nn.Parameter] = self.body.parameters()
        return parameters

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        """Set the mode of training; a frozen base stays in evaluation mode."""
        super().train(mode)
        if self.has_fixed_states:
            self.body.eval()
        return self

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return one state per token, (batch, length, hidden), or (batch, 1, hidden)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.has_fixed_states):
            states = self._run_body(input_ids, attention_mask)
        return self.continue_from(states, attention_mask)

    @torch.no_grad()
    def compute_fixed_states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states of the base, (batch, length, size), or (batch, 1, size)."""
        return self._run_body(input_ids, attention_mask)

    def _run_body(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states of the base, of each token or of the sentence.

        An LSTM also gets the embeddings: the last states of a sentence encoder say what a
        sentence is about, but not well which words it has.
        """
        output = self.body(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=bool(self.forwards),
        )
        states: Tensor = output.last_hidden_state
        if self.forwards:
            embedded = output.hidden_states[0]
            return torch.cat([scale_to_unit(embedded), scale_to_unit(states)], dim=-1)
        if self.has_sentence_state:
            states = self._pool(states, attention_mask).unsqueeze(1)
        return states

    def continue_from(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the LSTM's states, or those of the base if there is no LSTM."""
        if not self.forwards:
            return states
        states = self.state_scale * states
        return run_layers(states, attention_mask, self.forwards, self.backwards, self.dropout)

    @classmethod
    def open_base(
        cls, settings: PretrainedEncoderSettings
    ) -> tuple[PretrainedEncoderSettings, PreTrainedModel]:
        """Return the settings with a record of the base, and the base."""
        base = find_base(settings.name, f"{_SETTING}.name", settings.revision)
        check_encoder(base, f"{_SETTING}.name")
        pooling = describe_pooling(base.folder)
        check_sentence_states(settings, pooling)
        whole = load_encoder_model(base.folder)
        record = BaseRecord(
            config=whole.config.to_dict(),
            revision=base.revision,
            license=base.license,
            fingerprint=fingerprint_weights(select_encoder(whole).state_dict()),
            pooling=pooling,
            state_scale=STATE_SCALE,
        )
        return settings.model_copy(update={"base": record}), whole

    def adopt(self, whole: PreTrainedModel) -> None:
        """Copy the weights of a base, as the model is built."""
        names = name_base_weights(self.body)
        copy_weights(select_encoder(whole).state_dict(), self.body, names)

    def list_base_weights(self) -> list[str]:
        """Return the names of the frozen weights."""
        if not self.settings.require_base(_SETTING).is_needed:
            return []
        return sorted(name for name, _ in self.named_parameters() if self._is_frozen(name))

    def load_base_weights(self) -> None:
        """Load the frozen weights from the base."""
        names = [name.removeprefix("body.") for name in self.list_base_weights()]
        if not names:
            return
        record = self.settings.require_base(_SETTING)
        base = find_original(self.settings.name, f"{_SETTING}.name", record.revision)
        weights = select_encoder(load_encoder_model(base.folder)).state_dict()
        check_fingerprint(fingerprint_weights(weights), record, self.settings.name, _SETTING)
        base_names = name_base_weights(self.body)
        copy_weights(weights, self.body, {name: base_names[name] for name in names})

    def merge_base(self) -> dict[str, Any]:
        """Merge the adapters; the model then holds all weights. A frozen encoder stays frozen."""
        merge_adapters(self.body)
        record = self.settings.require_base(_SETTING).model_copy(update={"is_needed": False})
        train = "none" if self.has_fixed_states else "all"
        self.settings = self.settings.model_copy(update={"train": train, "base": record})
        return {"train": train, "base": record.model_dump()}

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the sentence embeddings with entries of about unit variance, (batch, hidden)."""
        weights = mask.unsqueeze(-1).to(states.dtype)
        parts = []
        assert self.pooling is not None, "there is a record of the pooling"
        for pooling in self.pooling.names:
            if pooling == "cls":
                parts.append(states[:, 0])
            elif pooling == "mean":
                parts.append((states * weights).sum(1) / weights.sum(1).clamp(min=1))
            elif pooling == "max":
                parts.append(
                    states.masked_fill(weights == 0, torch.finfo(states.dtype).min).amax(1)
                )
            else:
                last = mask.sum(1) - 1
                parts.append(states[torch.arange(len(states), device=states.device), last])
        return self.scale(torch.cat(parts, -1))

    def scale(self, embedding: Tensor) -> Tensor:
        """Return sentence embeddings with entries of about unit variance, (batch, hidden).

        On the unit sphere the entries are tiny, and the layers that follow expect larger ones.
        """
        assert self.pooling is not None, "there is a record of the pooling"
        if not self.pooling.normalize:
            return embedding
        unit = nn.functional.normalize(embedding, dim=-1)
        scaled: Tensor = unit * self.hidden**0.5
        return scaled

    def unscale(self, states: Tensor) -> Tensor:
        """Return sentence embeddings as the base defines them from what `scale` returned."""
        assert self.pooling is not None, "there is a record of the pooling"
        if not self.pooling.normalize:
            return states
        unit: Tensor = states / self.hidden**0.5
        return unit


def check_sentence_states(settings: PretrainedEncoderSettings, pooling: Pooling | None) -> None:
    """Check that a base has sentence embeddings if these are what the encoder should return.

    Args:
        pooling: how the base pools its states; None if it is no sentence encoder.

    Raises:
        ConfigError: it is no sentence encoder.
    """
    if settings.states == "sentence" and pooling is None:
        raise ConfigError(
            f"{_SETTING}.states = 'sentence' needs a sentence encoder, and {settings.name} has "
            "no modules.json that says how it pools its states: choose states = tokens, or a "
            "model of sentence-transformers."
        )


def build_encoder(record: BaseRecord) -> PreTrainedModel:
    """Return an encoder with random weights."""
    whole = AutoModel.from_config(
        record.build_config(), trust_remote_code=False, dtype=torch.float32
    )
    return speed_up_attention(fuse_activations(replace_dropouts(select_encoder(whole))))


def select_encoder(whole: PreTrainedModel) -> PreTrainedModel:
    """Return the part of a model that encodes, without a pooler."""
    body = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    # BERT's pooler serves classification. Here nothing uses its output, and parameters
    # without a gradient would stop DDP.
    if "pooler" in dict(body.named_children()):
        body.pooler = None
    return body
