"""Pooling: from the states of a sentence to one vector.

Shapes of every function:
    states: (batch, length, hidden)
    mask:   (batch, length), True on real tokens, padded on the right
    returns (batch, hidden)
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _pool_mean(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Return the average over the real tokens; 0 for an empty sentence."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _pool_max(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Return the largest value of each unit over the real tokens."""
    # The smallest finite number, since infinity would become NaN in an empty
    # sentence as soon as it is multiplied by 0.
    smallest = torch.finfo(states.dtype).min
    return states.masked_fill(~mask.unsqueeze(-1), smallest).amax(1)


def _pool_last(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Return the forward state at the last token, and the backward state at the first."""
    rows = torch.arange(len(states), device=states.device)
    last = (mask.sum(1) - 1).clamp(min=0)
    ends = states[rows, last]
    if not is_bidirectional:
        return ends
    half = states.shape[-1] // 2
    return torch.cat([ends[:, :half], states[:, 0, half:]], dim=-1)


POOLINGS: dict[str, Callable[[Tensor, Tensor, bool], Tensor]] = {
    "mean": _pool_mean,
    "max": _pool_max,
    "last": _pool_last,
}
