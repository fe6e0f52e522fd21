"""The log-variance of a Gaussian, bounded.

It is squashed into (-bound, bound): a variance that runs away makes the KL
explode, and one that vanishes makes a plain autoencoder.
"""

import torch
from torch import Tensor, nn


def log_variance_map(width: int, latent: int) -> nn.Linear:
    """Return a linear map to log-variances; training starts at unit variance."""
    chart = nn.Linear(width, latent)
    nn.init.zeros_(chart.bias)
    nn.init.normal_(chart.weight, std=0.01)
    return chart


def bounded(logvar: Tensor, bound: float) -> Tensor:
    """Squash each into (-bound, bound)."""
    return bound * torch.tanh(logvar / bound)
