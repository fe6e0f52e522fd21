"""Recurrent encoders: LSTM and GRU, one or both directions.

Sentences are padded, not packed: packed sequences leave the fast kernels, and
length-bucketed batches have little padding. The backward direction reads each
sentence reversed within its own length, so padding never reaches a real state.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.encoders.base import Encoder
from textvae.model.kernels.dropout import Dropout
from textvae.model.kernels.wide_lstm import WideLSTM
from textvae.schema import PartSettings

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": WideLSTM, "gru": nn.GRU}


class RecurrentEncoderSettings(PartSettings):
    """Sizes of a recurrent encoder; `hidden` is per direction."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding: int = Field(256, gt=0)
    hidden: int = Field(256, gt=0)
    layers: int = Field(1, gt=0)
    bidirectional: bool = True
    dropout: float = Field(0.0, ge=0, lt=1, description="on the embeddings and between layers")


class RecurrentEncoder(Encoder):
    """LSTM or GRU over learned embeddings."""

    Settings = RecurrentEncoderSettings

    def __init__(self, settings: RecurrentEncoderSettings, vocab: int) -> None:
        super().__init__()
        cell = CELLS[settings.kind]
        self.is_bidirectional = settings.bidirectional
        self.hidden = settings.hidden * (2 if settings.bidirectional else 1)
        self.embed = nn.Embedding(vocab, settings.embedding)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.dropout = Dropout(settings.dropout)
        inputs = [settings.embedding] + [self.hidden] * (settings.layers - 1)
        self.forwards = nn.ModuleList(
            cell(size, settings.hidden, batch_first=True) for size in inputs
        )
        self.backwards = nn.ModuleList(
            cell(size, settings.hidden, batch_first=True)
            for size in inputs
            if settings.bidirectional
        )
        for layer in [*self.forwards, *self.backwards]:
            initialize_cells(layer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last layer's states, (batch, length, hidden)."""
        states: Tensor = self.embed(input_ids)
        mirror = find_reversed_positions(attention_mask) if self.is_bidirectional else None
        for layer, onward in enumerate(self.forwards):
            states = self.dropout(states)
            ahead, _ = onward(states)
            if mirror is None:
                states = ahead
                continue
            back, _ = self.backwards[layer](_reorder_states(states, mirror))
            states = torch.cat([ahead, _reorder_states(back, mirror)], dim=-1)
        return states


@torch.no_grad()
def initialize_cells(cells: nn.Module) -> None:
    """Orthogonal recurrences, and forget gates that are open (Jozefowicz et al. 2015): gradients live longer."""
    assert isinstance(cells, nn.RNNBase)
    for name, weight in cells.named_parameters():
        if "bias" in name:
            weight.zero_()
            if isinstance(cells, nn.LSTM) and "bias_ih" in name:
                weight[cells.hidden_size : 2 * cells.hidden_size] = 1
        elif "weight_hh" in name:
            nn.init.orthogonal_(weight)
        else:
            nn.init.xavier_uniform_(weight)


def find_reversed_positions(mask: Tensor) -> Tensor:
    """Return the position each token trades places with when its sentence is reversed, (batch, length)."""
    places = torch.arange(mask.shape[1], device=mask.device)
    mirrored = mask.sum(1, keepdim=True) - 1 - places
    return torch.where(mirrored >= 0, mirrored, places)


def _reorder_states(states: Tensor, places: Tensor) -> Tensor:
    """Reorder states, (batch, length, hidden), along their length."""
    return states.gather(1, places.unsqueeze(-1).expand_as(states))
