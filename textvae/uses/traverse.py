"""Traverse: what one dimension of z does, seen in a sentence written with other values of it.

All other dimensions stay at the sentence's posterior mean, as in the traversals
of Higgins et al. 2017 (beta-VAE).
"""

import math
from collections.abc import Sequence

import torch

from textvae.bundle import Bundle
from textvae.errors import ConfigError
from textvae.uses.decoding import Decoding, write
from textvae.uses.encode import posterior


def traverse(bundle: Bundle, text: str, dimension: int, values: Sequence[float], options: Decoding) -> list[str]:
    """Return the sentences with these values of a dimension, counted from 0; greedy unless options say otherwise.

    Raises:
        ConfigError: the dimension is not there, a value is not finite, or z is on a sphere.
    """
    z = posterior(bundle, [text]).mean.repeat(len(values), 1)
    if not 0 <= dimension < z.shape[1]:
        raise ConfigError(f"dimension = {dimension}: this model's latent has 0 to {z.shape[1] - 1}.")
    if not all(map(math.isfinite, values)):
        raise ConfigError("a value of the dimension is not finite; a few standard deviations, -3 to 3, are usual.")
    if bundle.model.prior.is_spherical:
        raise ConfigError("z is on a sphere in this model, where no dimension moves alone; use interpolate.")
    z[:, dimension] = torch.tensor(values, dtype=z.dtype)
    return write(bundle, z, options, samples=False)
