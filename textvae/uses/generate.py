"""Generate: sentences from the prior."""

import torch
from torch import Tensor

from textvae.bundle import Bundle
from textvae.uses.decoding import Decoding, write


def prior_draws(bundle: Bundle, count: int, seed: int) -> Tensor:
    """Return z from p(z), (count, latent), the same for the same seed."""
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(seed)
        draws: Tensor = bundle.model.prior.sample(count)
    return draws


def generate(bundle: Bundle, count: int, options: Decoding, batch_size: int = 512, progress: bool = False) -> list[str]:
    """Write a sentence from each of `count` draws from the prior; tokens are sampled unless options say otherwise."""
    z = prior_draws(bundle, count, options.seed)
    return write(bundle, z, options, samples=True, batch_size=batch_size, progress=progress)
