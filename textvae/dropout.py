"""Dropout whose mask costs little on a CPU.

The library draws one random number an element, on one thread; at the sizes of
a sentence model that is as long as the whole optimizer step. Here one draw of
64 bits decides four elements, each to 1/65,536. A GPU uses the library's.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

LEVELS = 2**16  # that a chance is told apart by


class Dropout(nn.Dropout):
    """`nn.Dropout`, with the chance rounded to 1/65,536 (Srivastava et al. 2014)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the library's own name
        """Zero each element with chance `p` and scale the others, so that the mean stays; of any shape."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        cut = min(round(self.p * LEVELS), LEVELS - 1)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        keeps = draws[: input.numel()].view(input.shape) >= cut - LEVELS // 2
        return input * keeps.to(input.dtype).mul_(LEVELS / (LEVELS - cut))


def cheapened(module: M) -> M:
    """Replace every dropout inside a module of the library by ours, and return the module."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return module
