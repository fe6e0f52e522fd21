"""Dropout: of elements, of features for a whole sentence, of words, of recurrent weights.

The library draws one random number an element, on one thread; at the sizes of
a sentence model that is as long as the whole optimizer step. Here one draw of
64 bits decides four elements, each to 1/65,536. A GPU uses the library's.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

M = TypeVar("M", bound=nn.Module)


_PROBABILITY_LEVELS = 2**16  # that a chance is told apart by


class Dropout(nn.Dropout):
    """`nn.Dropout`, with the chance rounded to 1/65,536 (Srivastava et al. 2014)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the library's own name
        """Zero each element with chance `p` and scale the others, so that the mean stays; of any shape."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        cut = min(round(self.p * _PROBABILITY_LEVELS), _PROBABILITY_LEVELS - 1)
        draws = (
            torch.empty(-(-input.numel() // 4), dtype=torch.int64)
            .random_(-(2**63), None)
            .view(torch.int16)
        )
        keeps = draws[: input.numel()].view(input.shape) >= cut - _PROBABILITY_LEVELS // 2
        return input * keeps.to(input.dtype).mul_(_PROBABILITY_LEVELS / (_PROBABILITY_LEVELS - cut))


class LockedDropout(nn.Module):
    """Drops the same features at every place of a sentence (variational dropout: Gal & Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = Dropout(p)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states, (batch, length, size), under one mask a sentence."""
        if not self.training or self.dropout.p == 0:
            return states
        mask: Tensor = self.dropout(states.new_ones(len(states), 1, states.shape[-1]))
        return states * mask


class EmbeddingDropout(nn.Module):
    """Drops words, each in all its places in a batch (Gal & Ghahramani 2016)."""

    def __init__(self, p: float, vocab: int) -> None:
        super().__init__()
        self.dropout, self.vocab = Dropout(p), vocab

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Return the embeddings, (batch, length, size), of ids of (batch, length)."""
        if not self.training or self.dropout.p == 0:
            return embedded
        mask: Tensor = self.dropout(embedded.new_ones(self.vocab))
        return embedded * mask[ids].unsqueeze(-1)


class RecurrentDropout(nn.Module):
    """Drops recurrent weights, the same ones at every place (DropConnect in AWD-LSTM: Merity et al. 2018)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = Dropout(p)

    def forward(self, cells: nn.RNNBase, inputs: Tensor, start: Any) -> Any:
        """Return what the layers give from their inputs and first states."""
        if not self.training or self.dropout.p == 0:
            return cells(inputs, start)
        recurrent = {
            name: weight
            for name, weight in cells.named_parameters()
            if name.startswith("weight_hh")
        }
        return functional_call(
            cells,
            {name: self.dropout(weight) for name, weight in recurrent.items()},
            (inputs, start),
        )


def replace_dropouts(module: M) -> M:
    """Replace every dropout inside a module of the library by ours, and return the module."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return module
