"""Dropout of elements, of features for a whole sentence, of words, and of recurrent weights.

On a CPU torch draws one random number per element, on one thread; at the
sizes of a sentence model this takes as long as the whole optimizer step. Here
one draw of 64 bits decides four elements, with probabilities that are multiples
of 1/65,536. On a GPU torch's own dropout is used.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

M = TypeVar("M", bound=nn.Module)

_PROBABILITY_LEVELS = 2**16  # values of the 16 random bits that decide one element


class Dropout(nn.Dropout):
    """`nn.Dropout`, with its probability rounded to 1/65,536 (Srivastava et al. 2014)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Zero elements with probability `p` and scale the others, so that the mean stays the same.

        The input may have any shape.
        """
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        # At least one level must mean `keep`, or the scale would be infinite.
        dropped_levels = min(round(self.p * _PROBABILITY_LEVELS), _PROBABILITY_LEVELS - 1)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64)  # rounded up
        draws.random_(-(2**63), None)  # all 64 bits, the sign included
        levels = draws.view(torch.int16)[: input.numel()].view(input.shape)
        # The levels are signed: they start at -32,768.
        is_kept = levels >= dropped_levels - _PROBABILITY_LEVELS // 2
        scale = _PROBABILITY_LEVELS / (_PROBABILITY_LEVELS - dropped_levels)
        return input * is_kept.to(input.dtype).mul_(scale)


class LockedDropout(nn.Module):
    """Drops the same features at all positions of a sentence.

    This is the variational dropout of Gal & Ghahramani 2016 (arXiv:1512.05287).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = Dropout(p)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states, (batch, length, size), times one mask per sentence."""
        if not self.training or self.dropout.p == 0:
            return states
        mask: Tensor = self.dropout(states.new_ones(len(states), 1, states.shape[-1]))
        return states * mask


class EmbeddingDropout(nn.Module):
    """Drops words, each at all its positions in a batch (Gal & Ghahramani 2016)."""

    def __init__(self, p: float, vocab: int) -> None:
        super().__init__()
        self.dropout = Dropout(p)
        self.vocab = vocab

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Return the embeddings, (batch, length, size), of token ids, (batch, length)."""
        if not self.training or self.dropout.p == 0:
            return embedded
        # One number per word of the vocabulary, looked up: cheaper than a mask on the
        # embedding matrix, with the same result.
        mask: Tensor = self.dropout(embedded.new_ones(self.vocab))
        return embedded * mask[ids].unsqueeze(-1)


class RecurrentDropout(nn.Module):
    """Drops recurrent weights, the same ones at all positions.

    This is the DropConnect of AWD-LSTM (Merity et al. 2018, arXiv:1708.02182).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = Dropout(p)

    def forward(self, cells: nn.RNNBase, inputs: Tensor, start: Any) -> Any:
        """Return the output of the cells for these inputs and first state."""
        if not self.training or self.dropout.p == 0:
            return cells(inputs, start)
        # `functional_call` runs the cells with other weights. Replacing the parameters
        # themselves would break the optimizer and cuDNN's flattened weights.
        dropped = {
            name: self.dropout(weight)
            for name, weight in cells.named_parameters()
            if name.startswith("weight_hh")
        }
        return functional_call(cells, dropped, (inputs, start))


def replace_dropouts(module: M) -> M:
    """Replace every `nn.Dropout` inside a module by ours, in place, and return the module."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return module
