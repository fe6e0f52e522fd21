"""Differentiable batch means when each process holds only a share of the batch.

Every process gets the same mean, and gradients flow back through it into every
share. A penalty on this mean, weighted on each process by its share of the
sentences, therefore sums to what a single process would have computed, in value
and in gradient.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def batch_mean(values: Tensor) -> Tensor:
    """Return the mean over the batch, across all processes; it is differentiable.

    Shapes:
        values: (batch, ...), this process's share of the batch
        returns (...)
    """
    if not dist.is_initialized():
        return values.mean(0)
    # Shares may differ in size, so the counts are summed together with the values.
    count = values.new_full((1,), len(values))
    summands = torch.cat([values.sum(0).flatten(), count])
    total: Tensor = _SumOverProcesses.apply(summands)  # type: ignore[no-untyped-call]
    return (total[:-1] / total[-1]).view(values.shape[1:])


class _SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum over processes."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the sum of all processes' gradients."""
        # An expanded gradient shares memory between elements: all_reduce needs a real copy.
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
