"""Restart the decoder with fresh weights at the end of pretraining; the encoder is kept."""

from typing import Any

import torch
from torch.optim import Optimizer

from textvae.model.modeling import TextVAEModel
from textvae.runtime.seeds import Stream, derive_seed


def restart_decoder(model: TextVAEModel, optimizer: Optimizer, seed: int) -> None:
    """Give decoder and conditioning fresh weights, and drop their optimizer state.

    The weights are made from the seed, so that they are the same on all processes. The random
    state of the run does not change: the noise of later steps must not depend on the restart.
    """
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which would also reset the random numbers of a GPU.
        torch.default_generator.manual_seed(derive_seed(seed, Stream.DECODER_RESTART))
        fresh = TextVAEModel(model.config)
    parts: list[tuple[Any, Any]] = [
        (model.decoder, fresh.decoder),
        (model.conditioning, fresh.conditioning),
    ]
    for part, fresh_part in parts:
        # Copying keeps the parameters themselves, which the optimizer and DDP refer to.
        part.load_state_dict(fresh_part.state_dict())
        for parameter in part.parameters():
            optimizer.state.pop(parameter, None)
