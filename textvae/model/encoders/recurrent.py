"""Recurrent encoders: LSTM and GRU, one or both directions.

Sentences are padded, not packed: packed sequences do not use the fast kernels,
and length-bucketed batches have little padding. The backward direction reads
each sentence reversed within its own length, so padding never reaches the state
of a real token.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.encoders.base import Encoder
from textvae.model.kernels.dropout import Dropout
from textvae.model.kernels.wide_lstm import WideLSTM
from textvae.model.part import VECTORS_HELP
from textvae.schema import LayerCount, PartSettings, Size

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": WideLSTM, "gru": nn.GRU}


class RecurrentEncoderSettings(PartSettings):
    """Sizes of a recurrent encoder; `hidden` is per direction."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding: Size = Field(256, description="size of a token's embedding")
    vectors: str | None = Field(None, description=VECTORS_HELP)
    hidden: Size = Field(256, description="size of a state, per direction")
    layers: LayerCount = Field(1, description="number of layers")
    bidirectional: bool = Field(True, description="whether a second LSTM or GRU reads backwards")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the embeddings and between layers")


class RecurrentEncoder(Encoder):
    """LSTM or GRU over learned embeddings."""

    Settings = RecurrentEncoderSettings

    def __init__(self, settings: RecurrentEncoderSettings, vocab: int) -> None:
        super().__init__()
        cell = CELLS[settings.kind]
        self.is_bidirectional = settings.bidirectional
        directions = 2 if settings.bidirectional else 1
        self.hidden = settings.hidden * directions
        self.embed = nn.Embedding(vocab, settings.embedding)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.dropout = Dropout(settings.dropout)
        # One module per layer and direction: the bidirectional modules of torch
        # could not reverse each sentence within its own length without packing.
        input_sizes = [settings.embedding] + [self.hidden] * (settings.layers - 1)
        self.forwards = nn.ModuleList(
            cell(size, settings.hidden, batch_first=True) for size in input_sizes
        )
        self.backwards = nn.ModuleList()
        if settings.bidirectional:
            self.backwards.extend(
                cell(size, settings.hidden, batch_first=True) for size in input_sizes
            )
        for layer in [*self.forwards, *self.backwards]:
            initialize_cells(layer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last layer's states, (batch, length, hidden)."""
        states: Tensor = self.embed(input_ids)
        return run_layers(states, attention_mask, self.forwards, self.backwards, self.dropout)


def run_layers(
    states: Tensor,
    mask: Tensor,
    forwards: Iterable[nn.Module],
    backwards: Iterable[nn.Module],
    dropout: nn.Module,
) -> Tensor:
    """Return the last layer's states, (batch, length, hidden), of both directions or of one.

    Args:
        states: (batch, length, size), what the first layer reads.
        mask: (batch, length), padded on the right.
        forwards: the recurrence from left to right of each layer.
        backwards: the one from right to left of each layer; empty for a single direction.
        dropout: applied to what each layer reads.
    """
    mirror = None
    for run_forwards, run_backwards in zip_longest(forwards, backwards):
        states = dropout(states)
        from_left, _ = run_forwards(states)
        if run_backwards is None:
            states = from_left
            continue
        if mirror is None:
            mirror = find_reversed_positions(mask)
        # Reversing a sentence twice gives the sentence, so the same mirror
        # brings the states back into the order of the tokens.
        reversed_states, _ = run_backwards(_reorder_states(states, mirror))
        from_right = _reorder_states(reversed_states, mirror)
        states = torch.cat([from_left, from_right], dim=-1)
    return states


@torch.no_grad()
def initialize_cells(cells: nn.Module) -> None:
    """Initialize a recurrence so that gradients survive many steps.

    The recurrent weights are orthogonal, and the forget gates of an LSTM start
    open, with a bias of 1 (Jozefowicz et al. 2015).
    """
    assert isinstance(cells, nn.RNNBase)
    for name, weight in cells.named_parameters():
        if "bias" in name:
            weight.zero_()
            # torch orders the gates input, forget, cell, output, and adds two
            # biases: setting one of them gives a sum of 1.
            if isinstance(cells, nn.LSTM) and "bias_ih" in name:
                weight[cells.hidden_size : 2 * cells.hidden_size] = 1
        elif "weight_hh" in name:
            nn.init.orthogonal_(weight)
        else:
            nn.init.xavier_uniform_(weight)


def find_reversed_positions(mask: Tensor) -> Tensor:
    """Return each token's position after its sentence is reversed, (batch, length).

    Padding keeps its position. The mask is (batch, length), padded on the right.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    mirrored = mask.sum(1, keepdim=True) - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def _reorder_states(states: Tensor, positions: Tensor) -> Tensor:
    """Reorder states, (batch, length, hidden), along their length by positions, (batch, length)."""
    return states.gather(1, positions.unsqueeze(-1).expand_as(states))
