"""Paths between two latents: linear, and spherical (Shoemake 1985)."""

from collections.abc import Callable

import torch
from torch import Tensor


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` points on the straight line, ends included, (steps, latent)."""
    share = torch.linspace(0, 1, steps).unsqueeze(1)
    return (1 - share) * start + share * end


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` points that turn from `start` to `end` at an even angle, (steps, latent)."""
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle.sin() < 1e-4:  # the same direction, or the opposite one: no arc is defined
        return linear(start, end, steps)
    share = torch.linspace(0, 1, steps).unsqueeze(1)
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(
        angle
    )


LatentPath = Callable[[Tensor, Tensor, int], Tensor]


PATHS: dict[str, LatentPath] = {"linear": linear, "spherical": spherical}
