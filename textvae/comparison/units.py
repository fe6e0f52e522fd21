"""What each dimension of the latent carries: its KL, the largest first."""

from collections.abc import Mapping
from typing import Any

from textvae.comparison.plots import COLOURS, Picture, axes, svg


def unit_bars(portrait: Mapping[str, Any]) -> Picture:
    """Draw a bar a dimension."""
    drawn = axes("dimension, the largest first", "KL, nats")
    values = sorted(portrait["kl_by_dimension"], reverse=True)
    drawn.bar(range(1, len(values) + 1), values, color=COLOURS[0], width=0.8)
    drawn.set_xlim(0, len(values) + 1)
    return Picture(svg(drawn, "KL of each dimension"), "KL of each dimension", "test split, mean over sentences")
