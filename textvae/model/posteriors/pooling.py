"""Pooling: one vector from a sentence's states.

Shapes, of every function:
    states: (batch, length, hidden)
    mask:   (batch, length), True on real tokens, padded on the right
    returns (batch, hidden)
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _pool_mean(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Average over the real tokens."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _pool_max(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Take the largest value of each unit over the real tokens."""
    return states.masked_fill(~mask.unsqueeze(-1), torch.finfo(states.dtype).min).amax(1)


def _pool_last(states: Tensor, mask: Tensor, is_bidirectional: bool) -> Tensor:
    """Take the state in which the reading ends; backwards, that is the first token's."""
    rows = torch.arange(len(states), device=states.device)
    ends = states[rows, (mask.sum(1) - 1).clamp(min=0)]
    if not is_bidirectional:
        return ends
    half = states.shape[-1] // 2
    return torch.cat([ends[:, :half], states[:, 0, half:]], dim=-1)


POOLINGS: dict[str, Callable[[Tensor, Tensor, bool], Tensor]] = {
    "mean": _pool_mean,
    "max": _pool_max,
    "last": _pool_last,
}
