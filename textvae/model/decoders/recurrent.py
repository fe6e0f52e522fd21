"""Recurrent decoders: LSTM and GRU language models that are conditioned on z."""

from collections.abc import Callable, Sequence
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
from textvae.model.part import VECTORS_HELP
from textvae.schema import LayerCount, PartSettings, Size


class RecurrentCache(Cache):
    """The state of a recurrent decoder after the tokens so far.

    Attributes:
        state: (h,) or (h, c), each (layers, batch, hidden); empty before the first token.
        tokens_seen: number of tokens so far.
    """

    # A recurrent state has the same size whatever the length, so a compiled
    # `generate` would gain nothing.
    is_compileable = False
    # The base class asks its layers. There are none here, and it would answer yes.
    is_croppable = False

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.state: tuple[Tensor, ...] = ()
        self.tokens_seen = 0

    def advance(self, state: tuple[Tensor, ...], tokens: int) -> None:
        """Replace the state by the one after `tokens` more tokens."""
        self.state = state
        self.tokens_seen += tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens so far."""
        return self.tokens_seen

    # The base class implements the following methods layer by layer. Without
    # layers each of them would silently do nothing, so all are overridden.

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let each beam continue from the beam with this index."""
        self.state = tuple(part.index_select(1, beam_idx.to(part.device)) for part in self.state)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Select the rows with these indices."""
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row, its copies next to each other."""
        self.state = tuple(part.repeat_interleave(repeats, dim=1) for part in self.state)

    def reset(self) -> None:
        """Forget all tokens."""
        self.state = ()
        self.tokens_seen = 0

    def crop(self, tokens_to_remove: int) -> None:
        """Do nothing, or refuse to remove the last tokens: the state before them is lost.

        Raises:
            ConfigError: there are tokens to remove.
        """
        if tokens_to_remove:
            raise ConfigError(
                "a recurrent decoder cannot take back tokens, which assisted decoding needs: "
                "leave out assistant_model and prompt_lookup_num_tokens."
            )


class RecurrentDecoderSettings(PartSettings):
    """Sizes and dropout rates of a recurrent decoder, which reads from left to right only."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding: Size = Field(256, description="size of a token's embedding")
    vectors: str | None = Field(None, description=VECTORS_HELP)
    hidden: Size = Field(256, description="size of a state")
    layers: LayerCount = Field(1, description="number of layers")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="on the embeddings and on the states before the projection"
    )
    locked_dropout: bool = Field(
        False, description="whether all positions of a sentence share one dropout mask"
    )
    embedding_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of tokens whose embeddings are dropped"
    )
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="on the recurrent weights")
    tie: bool = Field(True, description="whether the projection uses the embedding's weights")


class RecurrentDecoder(Decoder):
    """LSTM or GRU language model with z in its initial state, inputs, embeddings or output."""

    Settings = RecurrentDecoderSettings
    embed: nn.Embedding

    def __init__(
        self, settings: RecurrentDecoderSettings, vocab: int, latent: int, channels: Sequence[str]
    ) -> None:
        super().__init__()
        self.layers = settings.layers
        self.hidden = settings.hidden
        self.is_lstm = settings.kind == "lstm"
        self.signal_shapes = {
            "initial_state": (2 if self.is_lstm else 1, settings.layers, settings.hidden),
            "every_step": (latent,),
            "embedding": (settings.embedding,),
            "output": (settings.hidden,),
        }
        input_size = settings.embedding
        if "every_step" in channels:
            input_size += latent
        self.embed = nn.Embedding(vocab, settings.embedding)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.dropout = (LockedDropout if settings.locked_dropout else Dropout)(settings.dropout)
        self.embedding_dropout = EmbeddingDropout(settings.embedding_dropout, vocab)
        self.recurrent_dropout = RecurrentDropout(settings.recurrent_dropout)
        self.cells = CELLS[settings.kind](
            input_size, settings.hidden, settings.layers, batch_first=True
        )
        initialize_cells(self.cells)
        # Tied weights need states of the embedding's size: the bridge maps the
        # hidden size to it, also when the two happen to be equal.
        self.bridge: nn.Module = nn.Identity()
        self.projection: nn.Linear | None = None
        if settings.tie:
            self.bridge = nn.Linear(settings.hidden, settings.embedding)
        else:
            self.projection = nn.Linear(settings.hidden, vocab, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab))

    @property
    def output_weight(self) -> Tensor:
        """The weights of the projection, (vocab, size); the embedding's own if they are tied."""
        return self.embed.weight if self.projection is None else self.projection.weight

    @property
    def output_bias(self) -> Tensor:
        """The bias of the projection, (vocab,)."""
        return self.bias

    def new_cache(self) -> RecurrentCache:
        """Return an empty cache."""
        return RecurrentCache()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: RecurrentCache | None = None,
    ) -> Tensor:
        """Return the states, (batch, length, size of a row of `output_weight`)."""
        inputs = self.embed_inputs(input_ids, signals)
        start = () if cache is None else cache.state
        if not start:  # no token yet
            shape = self.signal_shapes["initial_state"]
            start = make_initial_state(signals.get("initial_state"), inputs, shape)
        states = run_recurrence(self.run_cells, inputs, attention_mask, start, cache)
        if "output" in signals:
            states = states + signals["output"].unsqueeze(1)
        projected: Tensor = self.bridge(self.dropout(states))
        return projected

    def embed_inputs(self, input_ids: Tensor, signals: Signals) -> Tensor:
        """Return the cells' inputs, (batch, length, size): token embeddings and signals of z."""
        embedded: Tensor = self.embedding_dropout(self.embed(input_ids), input_ids)
        if "embedding" in signals:
            embedded = embedded + signals["embedding"].unsqueeze(1)
        return append_latent(self.dropout(embedded), signals)

    def run_cells(
        self, inputs: Tensor, start: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the recurrence over whole sentences; return all states and the last (h,) or (h, c).

        Shapes:
            inputs: (batch, length, size); start: (layers, batch, hidden) each
            returns (batch, length, hidden) and the shapes of `start`
        """
        # torch takes a tuple for an LSTM, but a single tensor for a GRU.
        if self.is_lstm:
            states, end = self.recurrent_dropout(self.cells, inputs, start)
            return states, end
        states, end = self.recurrent_dropout(self.cells, inputs, start[0])
        return states, (end,)


# From inputs, (batch, length, size), and a state to all states and the last one.
_RunCells = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, tuple[Tensor, ...]]]


def append_latent(inputs: Tensor, signals: Signals) -> Tensor:
    """Return the inputs, (batch, length, size), each with z appended if it is given at every step.

    The inputs had their dropout before, so that no number of z is ever dropped.
    """
    if "every_step" not in signals:
        return inputs
    z = signals["every_step"].to(inputs.dtype).unsqueeze(1)
    return torch.cat([inputs, z.expand(-1, inputs.shape[1], -1)], dim=-1)


def make_initial_state(
    signal: Tensor | None, inputs: Tensor, shape: Sequence[int]
) -> tuple[Tensor, ...]:
    """Return (h,) or (h, c), each (layers, batch, hidden): from a signal of z, or zeros.

    Args:
        signal: (batch, 1 or 2, layers, hidden), or None.
        inputs: the inputs of the recurrence, (batch, length, size).
        shape: the shape of the signal, without the batch dimension.
    """
    if signal is None:
        parts, layers, hidden = shape
        zeros = inputs.new_zeros(layers, len(inputs), hidden)
        return (zeros,) * parts
    # (batch, 1 or 2, layers, hidden) -> (1 or 2, layers, batch, hidden)
    h, *cells = signal.to(inputs.dtype).permute(1, 2, 0, 3).unbind(0)
    # In every later step h is within (-1, 1), so it starts there too. The cell
    # state of an LSTM has no such bound.
    return (torch.tanh(h).contiguous(), *(cell.contiguous() for cell in cells))


def run_recurrence(
    run_cells: _RunCells,
    inputs: Tensor,
    attention_mask: Tensor,
    state: tuple[Tensor, ...],
    cache: RecurrentCache | None,
) -> Tensor:
    """Return the state at each new token, (batch, length, hidden), and advance the cache.

    Shapes:
        inputs: (batch, length, size); attention_mask: (batch, cached length + length)
    """
    length = inputs.shape[1]
    is_real = attention_mask[:, -length:].bool()
    # In training padding is on the right, after all real tokens, and does no
    # harm. `generate` pads prompts on the left, where it would change the
    # state that the first real token starts from.
    if cache is not None and length > 1 and not bool(is_real.all()):
        states, end = _run_stepwise(run_cells, inputs, is_real, state)
    else:
        states, end = run_cells(inputs, state)
    if cache is not None:
        cache.advance(end, length)
    return states


def _run_stepwise(
    run_cells: _RunCells, inputs: Tensor, is_real: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run token by token and leave the state unchanged under padding.

    `is_real` is (batch, length), True on real tokens.
    """
    outputs = []
    for position in range(inputs.shape[1]):
        output, advanced = run_cells(inputs[:, position : position + 1], state)
        is_real_here = is_real[:, position].view(1, -1, 1)
        state = tuple(
            torch.where(is_real_here, new, old) for new, old in zip(advanced, state, strict=True)
        )
        outputs.append(output)
    return torch.cat(outputs, dim=1), state
