"""Begin anew with the decoder, and keep the encoder: where a prelude ends and the run proper begins."""

from typing import Any

import torch
from torch.optim import Optimizer

from textvae.model.modeling import TextVAEModel
from textvae.runtime.seeds import derive_seed

_RESTART_SEED_KEY = 1  # so that the weights are not those of the start


def restart_decoder(model: TextVAEModel, optimizer: Optimizer, seed: int) -> None:
    """Give decoder and conditionings the fresh weights of a seed, and drop what the optimizer knows of them.

    All processes draw the same weights; none of the run's own random numbers are used up.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, _RESTART_SEED_KEY))
        fresh = TextVAEModel(model.config)
    parts: list[tuple[Any, Any]] = [
        (model.decoder, fresh.decoder),
        (model.conditioning, fresh.conditioning),
    ]
    for part, anew in parts:
        part.load_state_dict(anew.state_dict())
        for parameter in part.parameters():
            optimizer.state.pop(parameter, None)
