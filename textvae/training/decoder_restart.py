"""Begin anew with the decoder, and keep the encoder: where a prelude ends and the run proper begins."""

from typing import Any

import torch
from torch.optim import Optimizer

from textvae.model.modeling import TextVAEModel
from textvae.runtime.seeds import Stream, derive_seed


def restart_decoder(model: TextVAEModel, optimizer: Optimizer, seed: int) -> None:
    """Give decoder and conditionings the fresh weights of a seed, and drop what the optimizer knows of them.

    All processes draw the same weights; none of the run's own random numbers are used up.
    """
    with torch.random.fork_rng(devices=[]):
        # Not `seeded`: it would also reset the random numbers of a GPU, in the middle of training.
        torch.default_generator.manual_seed(derive_seed(seed, Stream.DECODER_RESTART))
        fresh = TextVAEModel(model.config)
    parts: list[tuple[Any, Any]] = [
        (model.decoder, fresh.decoder),
        (model.conditioning, fresh.conditioning),
    ]
    for part, anew in parts:
        part.load_state_dict(anew.state_dict())
        for parameter in part.parameters():
            optimizer.state.pop(parameter, None)
