"""A frozen language model with a small recurrent network at its side, which reads z.

Side-tuning (Zhang et al. 2020, arXiv:1912.13503; Sung et al. 2022, arXiv:2206.06522)
leaves a pretrained network as it is and adds the output of a small one to its last states.
Here the small one is an LSTM. It reads the tokens, the language model's states and z, so
the language model says what is fluent and the LSTM what is meant. The language model does
not depend on z: its states are computed once for a corpus, and training steps do not run it.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from textvae.errors import ConfigError
from textvae.model.bases.language_model import LanguageModel
from textvae.model.bases.layers import TwoPartCache, scale_to_unit
from textvae.model.bases.quantization import Bits
from textvae.model.bases.settings import (
    STATE_SCALE,
    BaseSettings,
    DropoutRate,
    PretrainedSettings,
    choose_dropout,
    make_dropout,
)
from textvae.model.conditioning import Signals
from textvae.model.decoders.language_model import SETTING, LanguageModelDecoder
from textvae.model.decoders.recurrent import (
    RecurrentCache,
    append_latent,
    make_initial_state,
    run_recurrence,
)
from textvae.model.encoders.recurrent import CELLS, initialize_cells
from textvae.runtime.device import compute_in_bf16
from textvae.schema import Size


class SideTunedDecoderSettings(BaseSettings):
    """A language model that stays as it is, and the sizes of the LSTM at its side."""

    kind: Literal["side_tuned"] = "side_tuned"
    name: str = Field(
        "HuggingFaceTB/SmolLM2-135M", description="a language model: a hub name or a folder"
    )
    bits: Bits | None = Field(
        None,
        description="round the frozen matrices to 8 or 4 bits, which needs the package bitsandbytes",
    )
    inputs: Size = Field(
        256, description="size to which tokens and states are reduced for the LSTM"
    )
    hidden: Size = Field(512, description="size of the LSTM")
    dropout: DropoutRate = Field(
        0.2,
        description="on the LSTM's inputs and on its states; auto: 0.4 with 5,000 training "
        "sentences or fewer, 0.2 with 28,000 or more",
    )

    def fit_to_corpus(self, sentences: int) -> Self:
        """Return the settings with a number as dropout."""
        if self.dropout != "auto":
            return self
        return self.model_copy(update={"dropout": choose_dropout(sentences)})


class SideTunedDecoder(LanguageModelDecoder):
    """A frozen language model, and an LSTM that adds to its last states what z says."""

    Settings = SideTunedDecoderSettings
    has_frozen_layers_below = True

    def __init__(
        self, settings: SideTunedDecoderSettings, vocab: int, latent: int, channels: Sequence[str]
    ) -> None:
        super().__init__()
        record = settings.require_base(SETTING)
        if record.config.get("is_encoder_decoder"):
            raise ConfigError(
                f"{SETTING}.name = {settings.name!r} is the decoder of an encoder-decoder model, "
                "which says nothing without its encoder: choose a causal language model, or "
                f"{SETTING}.kind = pretrained."
            )
        frozen = PretrainedSettings(
            kind=settings.kind,
            name=settings.name,
            revision=settings.revision,
            base=record,
            train="none",
        )
        self.language_model = LanguageModel(frozen, vocab, 0.0, SETTING, bits=settings.bits)
        self.logit_cap = record.logit_cap
        self.logit_scale = record.logit_scale
        self.state_scale = record.state_scale
        body = self.language_model.upper
        self.max_length = getattr(body.config, "max_position_embeddings", None)
        states = self.language_model.hidden
        self.signal_shapes = {
            "initial_state": (2, 1, settings.hidden),
            "every_step": (latent,),
            "output": (states,),
        }
        inputs = settings.inputs
        if "every_step" in channels:
            inputs += latent
        self.read = nn.Linear(2 * states, settings.inputs)
        self.cells = CELLS["lstm"](inputs, settings.hidden, batch_first=True)
        self.dropout = make_dropout(settings.dropout)
        self.write = nn.Linear(settings.hidden + states, states)
        self.bias = nn.Parameter(torch.zeros(vocab))
        self.reset_new_weights()

    @torch.no_grad()
    def reset_new_weights(self) -> list[nn.Parameter]:
        """Start the LSTM again; return its parameters and those around it."""
        self.read.reset_parameters()
        initialize_cells(self.cells)
        # The decoder starts as its language model: nothing is added at first.
        for parameter in (self.write.weight, self.write.bias, self.bias):
            parameter.zero_()
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def train(self, mode: bool = True) -> "SideTunedDecoder":
        """Set the mode of training; the language model stays in evaluation mode, without dropout."""
        super().train(mode)
        self.language_model.eval()
        return self

    @property
    def output_bias(self) -> Tensor:
        """The bias of the projection, (vocab,), which is trained."""
        base_bias = self.language_model.bias
        return self.bias if base_bias is None else self.bias + base_bias

    def merge_base(self) -> dict[str, Any]:
        """Keep the weights of the language model; return the settings of a part without a base."""
        return {"base": super().merge_base()["base"]}  # what is trained is no setting here

    def new_cache(self) -> TwoPartCache:
        """Return an empty cache: keys and values of the language model, and the LSTM's state."""
        body = self.language_model.upper
        return TwoPartCache(DynamicCache(config=body.config), RecurrentCache())

    @torch.no_grad()
    def compute_lower_states(
        self, embedded: Tensor, attention_mask: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """Return embeddings and last states of the language model, (batch, length, 2 * hidden).

        Training uses states that were computed in bf16 where the hardware multiplies bf16 fast,
        so all other uses compute them in the same way.
        """
        keys_and_values = cache.lower if isinstance(cache, TwoPartCache) else None
        with compute_in_bf16(embedded.device):
            last = self.language_model.run_upper(embedded, attention_mask, keys_and_values, None)
        return torch.cat([embedded.to(last.dtype), last], dim=-1)

    def continue_from(
        self,
        states: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the sum of the language model's states and the LSTM's, (batch, length, hidden)."""
        embedded, last = states.to(self.read.weight.dtype).chunk(2, dim=-1)
        inputs = self._make_inputs(embedded, last, signals)
        recurrent = None
        start: tuple[Tensor, ...] = ()
        if isinstance(cache, TwoPartCache):
            recurrent = cast(RecurrentCache, cache.upper)
            start = recurrent.state
        if not start:  # no token yet
            shape = self.signal_shapes["initial_state"]
            start = make_initial_state(signals.get("initial_state"), inputs, shape)
        added = run_recurrence(self.cells, inputs, attention_mask, start, recurrent)
        # What the LSTM reads is too narrow to carry a state of the language model, so `write` gets
        # that state, too: it adapts the language model to the corpus.
        seen = STATE_SCALE * self.dropout(scale_to_unit(last))
        result: Tensor = last + self.write(torch.cat([self.dropout(added), seen], dim=-1))
        if "output" in signals:
            result = result + signals["output"].unsqueeze(1)
        if self.logit_scale != 1.0:
            result = result * self.logit_scale
        return result

    def _make_inputs(self, embedded: Tensor, last: Tensor, signals: Signals) -> Tensor:
        """Return what the LSTM reads at each position, (batch, length, size)."""
        read = torch.cat([scale_to_unit(embedded), scale_to_unit(last)], dim=-1)
        read = self.state_scale * read
        return append_latent(self.dropout(self.read(read)), signals)
