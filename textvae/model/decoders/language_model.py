"""What decoders with a pretrained language model have in common: its embeddings and weights."""

from abc import abstractmethod
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.bases.language_model import (
    LanguageModel,
    check_positions_of_base,
    fingerprint_base,
    select_decoder,
)
from textvae.model.bases.lora import reset_adapters
from textvae.model.bases.roles import check_decoder
from textvae.model.bases.settings import STATE_SCALE, BaseRecord
from textvae.model.bases.source import find_base
from textvae.model.bases.weights import load_language_model, measure_logits
from textvae.model.conditioning import Signals
from textvae.model.decoders.base import Decoder

SETTING = "model.decoder"


class LanguageModelDecoder(Decoder):
    """A decoder that has a pretrained language model, with the vocabulary of that model."""

    starts_from_base = True
    # A language model of 50,000 tokens gives many of them a small probability, and the texts that
    # follow from one of these make no sense. A small language model also tends to repeat itself.
    # docs/pretrained.md has the measurements.
    sampling_options = MappingProxyType({"min_p": 0.05, "repetition_penalty": 1.1})
    max_rows = 128  # of 128 tokens, SmolLM2-135M needs 0.4 GB for them in bf16
    language_model: LanguageModel

    @property
    def embed(self) -> nn.Embedding:  # type: ignore[override]
        """The language model's own embedding."""
        return self.language_model.embed

    @property
    def output_weight(self) -> Tensor:
        """The weights of the projection, (vocab, hidden)."""
        return self.language_model.output_weight

    @property
    def output_bias(self) -> Tensor | None:
        """The bias of the projection, (vocab,), or None."""
        return self.language_model.bias

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the states, (batch, length, hidden), multiplied by the model's scale of logits."""
        states = self.embed(input_ids)
        if self.has_frozen_layers_below:
            states = self.compute_lower_states(states, attention_mask, cache)
        return self.continue_from(states, attention_mask, signals, cache)

    @abstractmethod
    def compute_lower_states(
        self, embedded: Tensor, attention_mask: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """Return the states that do not depend on z, without gradient; `continue_from` takes them.

        Args:
            embedded: the embeddings of the tokens, (batch, length, hidden).
            attention_mask: (batch, cached length + length), non-zero on real tokens.
        """

    @classmethod
    def open_base(cls, settings: Any) -> tuple[Any, PreTrainedModel]:
        """Return the settings with a record of the base, and the base.

        Args:
            settings: a `BaseSettings` with `bits`.
        """
        base = find_base(settings.name, f"{SETTING}.name", settings.revision)
        check_decoder(base, f"{SETTING}.name")
        whole = load_language_model(
            base.folder,
            is_encoder_decoder=base.config.is_encoder_decoder,
            bits=settings.bits,
            setting=SETTING,
        )
        body = select_decoder(whole)
        width = body.get_input_embeddings().weight.shape[1]
        if width != body.config.hidden_size:
            raise ConfigError(
                f"{SETTING}.name = {settings.name!r} has embeddings of {width:,} numbers and states "
                f"of {body.config.hidden_size:,}, which textvae does not support: choose a model "
                "with one size for both."
            )
        check_positions_of_base(body, f"{SETTING}.name")
        config = whole.config.to_dict()
        config.pop(
            "quantization_config", None
        )  # a model is built from it as if it were not rounded
        record = BaseRecord(
            config=config,
            revision=base.revision,
            license=base.license,
            fingerprint=fingerprint_base(body, base.folder, settings.bits),
            is_tied=whole.get_output_embeddings().weight is body.get_input_embeddings().weight,
            state_scale=STATE_SCALE,
            **measure_logits(whole, body, f"{SETTING}.name"),
        )
        return settings.model_copy(update={"base": record}), whole

    def adopt(self, whole: PreTrainedModel, rows: Sequence[int | None]) -> None:
        """Copy all weights of a base, as the model is built."""
        self.language_model.adopt(whole, rows)

    def reset_new_weights(self) -> list[nn.Parameter]:
        """Start the weights that the base does not have again; return their parameters."""
        return reset_adapters(self)

    def freeze(self) -> None:
        """Freeze what is not trained."""
        self.language_model.freeze()

    def list_base_weights(self) -> list[str]:
        """Return the names of the weights that are loaded from the base, and not saved."""
        return [f"language_model.{name}" for name in self.language_model.list_base_weights()]

    def load_base_weights(self) -> None:
        """Load these weights from the base."""
        self.language_model.load_base_weights()

    def merge_base(self) -> dict[str, Any]:
        """Merge the adapters; return the settings of a part that needs no base."""
        return self.language_model.merge_base()
