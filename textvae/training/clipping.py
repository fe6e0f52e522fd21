"""Clipping the gradients by their norm (Pascanu et al. 2013), without a pass over them where none is needed."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm


def clip_gradients(parameters: Iterable[Tensor], most: float) -> Tensor:
    """Scale the gradients so that their norm is `most` at most; return the norm they had.

    The library multiplies every gradient, by one if need be: on a GPU that is
    cheaper than to ask, on a CPU it is as long as the norm itself.
    """
    given = [parameter for parameter in parameters if parameter.grad is not None]
    if not given or given[0].device.type != "cpu":
        return clip_grad_norm_(given, most)
    norm = get_total_norm([parameter.grad for parameter in given if parameter.grad is not None])
    if not norm <= most:
        clip_grads_with_norm_(given, most, norm)
    return torch.as_tensor(norm)
