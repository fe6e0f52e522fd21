"""Recurrent decoders: LSTM and GRU."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import Cache

from textvae.errors import ConfigError
from textvae.model.conditioning import Signals
from textvae.model.decoders.base import Decoder
from textvae.model.encoders.recurrent import CELLS, initialize_cells
from textvae.model.kernels.dropout import Dropout, EmbeddingDropout, LockedDropout, RecurrentDropout
from textvae.schema import PartSettings


class RecurrentCache(Cache):
    """The state after the tokens read so far.

    Attributes:
        state: (h,) or (h, c), each (layers, batch, hidden); empty before the first token.
    """

    is_compileable = False  # its state changes length-free; compiling it gains nothing
    is_croppable = False  # the base class asks its layers, and without any it would say yes

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.state: tuple[Tensor, ...] = ()
        self.seen = 0

    def advance(self, state: tuple[Tensor, ...], tokens: int) -> None:
        """Take over the state after `tokens` more tokens."""
        self.state = state
        self.seen += tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens were read."""
        return self.seen

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let each beam continue from the beam it came from."""
        self.state = tuple(part.index_select(1, beam_idx.to(part.device)) for part in self.state)

    # The base class does the following layer by layer. There are no layers here, so that each would do nothing.

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of these indices only."""
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row, its copies next to each other."""
        self.state = tuple(part.repeat_interleave(repeats, dim=1) for part in self.state)

    def reset(self) -> None:
        """Forget all tokens."""
        self.state, self.seen = (), 0

    def crop(self, tokens_to_remove: int) -> None:
        """Refuse to forget the last tokens: the state before them is gone.

        Raises:
            ConfigError: there are tokens to remove.
        """
        if tokens_to_remove:
            raise ConfigError(
                "a recurrent decoder cannot take back tokens, which assisted decoding needs: "
                "leave out assistant_model and prompt_lookup_num_tokens."
            )


class RecurrentDecoderSettings(PartSettings):
    """Sizes of a recurrent decoder; it reads one way only."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding: int = Field(256, gt=0)
    hidden: int = Field(256, gt=0)
    layers: int = Field(1, gt=0)
    dropout: float = Field(
        0.2, ge=0, lt=1, description="on the embeddings and on the states before the projection"
    )
    locked_dropout: bool = Field(False, description="its mask one for all places of a sentence")
    embedding_dropout: float = Field(
        0.0, ge=0, lt=1, description="of whole words, as they are read"
    )
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="of the recurrent weights")
    tie: bool = Field(True, description="project with the embedding's own weights")


class RecurrentDecoder(Decoder):
    """LSTM or GRU language model that hears z as initial state, at every step, in its embeddings or in its output."""

    Settings = RecurrentDecoderSettings
    embed: nn.Embedding

    def __init__(
        self, settings: RecurrentDecoderSettings, vocab: int, latent: int, heard: Sequence[str]
    ) -> None:
        super().__init__()
        self.layers, self.hidden, self.is_lstm = (
            settings.layers,
            settings.hidden,
            settings.kind == "lstm",
        )
        out = settings.embedding if settings.tie else settings.hidden
        self.signal_shapes = {
            "initial_state": (2 if self.is_lstm else 1, settings.layers, settings.hidden),
            "every_step": (latent,),
            "embedding": (settings.embedding,),
            "output": (settings.hidden,),
        }
        beside = latent if "every_step" in heard else 0
        self.embed = nn.Embedding(vocab, settings.embedding)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.dropout = (LockedDropout if settings.locked_dropout else Dropout)(settings.dropout)
        self.embedding_dropout = EmbeddingDropout(settings.embedding_dropout, vocab)
        self.recurrent_dropout = RecurrentDropout(settings.recurrent_dropout)
        self.cells = CELLS[settings.kind](
            settings.embedding + beside, settings.hidden, settings.layers, batch_first=True
        )
        initialize_cells(self.cells)
        self.bridge = nn.Linear(settings.hidden, out) if settings.tie else nn.Identity()
        self.projection = None if settings.tie else nn.Linear(out, vocab, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab))

    @property
    def output_weight(self) -> Tensor:
        """The projection's weights: the embedding's own where they are tied."""
        return self.embed.weight if self.projection is None else self.projection.weight

    @property
    def output_bias(self) -> Tensor:
        """The projection's bias, (vocab,)."""
        return self.bias

    def new_cache(self) -> RecurrentCache:
        """Return an empty state."""
        return RecurrentCache()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: RecurrentCache | None = None,
    ) -> Tensor:
        """Return the states, (batch, length, size of a row of `output_weight`)."""
        inputs = self.inputs(input_ids, signals)
        start = (
            cache.state
            if cache is not None and cache.state
            else self.initial_state(inputs, signals)
        )
        seen = attention_mask[:, -input_ids.shape[1] :].bool()
        if cache is not None and input_ids.shape[1] > 1 and not bool(seen.all()):
            states, end = self.run_stepwise(inputs, seen, start)
        else:
            states, end = self.run(inputs, start)
        if cache is not None:
            cache.advance(end, input_ids.shape[1])
        if "output" in signals:
            states = states + signals["output"].unsqueeze(1)
        projected: Tensor = self.bridge(self.dropout(states))
        return projected

    def inputs(self, input_ids: Tensor, signals: Signals) -> Tensor:
        """Return the embeddings with what of z belongs in or beside them."""
        embedded: Tensor = self.embedding_dropout(self.embed(input_ids), input_ids)
        if "embedding" in signals:
            embedded = embedded + signals["embedding"].unsqueeze(1)
        embedded = self.dropout(embedded)
        if "every_step" not in signals:
            return embedded
        beside = (
            signals["every_step"].to(embedded.dtype).unsqueeze(1).expand(-1, input_ids.shape[1], -1)
        )
        return torch.cat([embedded, beside], dim=-1)

    def initial_state(self, inputs: Tensor, signals: Signals) -> tuple[Tensor, ...]:
        """Return (h,) or (h, c), each (layers, batch, hidden): zeros where z is not heard here."""
        count = 2 if self.is_lstm else 1
        if "initial_state" not in signals:
            return (inputs.new_zeros(self.layers, len(inputs), self.hidden),) * count
        first, *rest = signals["initial_state"].to(inputs.dtype).permute(1, 2, 0, 3).unbind(0)
        return (torch.tanh(first).contiguous(), *(cell.contiguous() for cell in rest))

    def run(self, inputs: Tensor, start: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the recurrence over whole sentences."""
        states, end = self.recurrent_dropout(
            self.cells, inputs, start if self.is_lstm else start[0]
        )
        return states, end if self.is_lstm else (end,)

    def run_stepwise(
        self, inputs: Tensor, seen: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run token by token, the state frozen under (left) padding."""
        outputs = []
        for place in range(inputs.shape[1]):
            output, moved = self.run(inputs[:, place : place + 1], state)
            keep = seen[:, place].view(1, -1, 1)
            state = tuple(
                torch.where(keep, new, old) for new, old in zip(moved, state, strict=True)
            )
            outputs.append(output)
        return torch.cat(outputs, dim=1), state
