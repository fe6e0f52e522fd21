"""Batch statistics: means over the whole batch where each process holds a share of it.

Every process gets the same mean, and gradients flow back through it into every
share. So a penalty on it, weighted on each process by the share of sentences,
sums to what one process would have paid, in value and in gradient.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _SumOverProcesses(torch.autograd.Function):
    """The sum over processes; what flows back is the sum of what each of them sends."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the sum of the gradients."""
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def batch_mean(values: Tensor) -> Tensor:
    """Return the mean of (batch, ...) over the batch, all processes' shares of it together, differentiable."""
    if not dist.is_initialized():
        return values.mean(0)
    count = values.new_full((1,), len(values))  # shares need not be equal
    total: Tensor = _SumOverProcesses.apply(torch.cat([values.sum(0).flatten(), count]))  # type: ignore[no-untyped-call]
    return (total[:-1] / total[-1]).view(values.shape[1:])
