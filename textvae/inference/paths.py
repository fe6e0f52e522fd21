"""Paths between two latents, (latent,) each: linear, and spherical (Shoemake 1985)."""

from collections.abc import Callable

import torch
from torch import Tensor

_MIN_SINE = 1e-4  # below it, two directions are the same or opposite, and no arc is defined


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` evenly spaced points on the straight line, ends included, (steps, latent)."""
    fraction = torch.linspace(0, 1, steps).unsqueeze(1)
    return (1 - fraction) * start + fraction * end


def spherical(start: Tensor, end: Tensor, steps: int, center: Tensor | float = 0.0) -> Tensor:
    """Return `steps` points on the arc from `start` to `end`, evenly spaced in angle.

    Where no arc is defined, the points are on the straight line. Shape: (steps, latent).

    Args:
        center: the mean of the prior, (latent,), about which the arc turns.
    """
    return center + _arc(start - center, end - center, steps)


def _arc(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` points on the arc about 0 from `start` to `end`, (steps, latent)."""
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle.sin() < _MIN_SINE:
        return linear(start, end, steps)
    fraction = torch.linspace(0, 1, steps).unsqueeze(1)
    weighted = torch.sin((1 - fraction) * angle) * start + torch.sin(fraction * angle) * end
    return weighted / torch.sin(angle)


LatentPath = Callable[[Tensor, Tensor, int], Tensor]  # from start, end and number of steps

PATHS: dict[str, LatentPath] = {"linear": linear, "spherical": spherical}
