"""Restart the decoder with fresh weights at the end of pretraining; the encoder is kept.

A pretrained decoder is not thrown away: only what is new starts again: its adapters or
the network at its side, and the conditioning.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from textvae.model.conditioning import CONDITIONINGS
from textvae.model.decoders.language_model import LanguageModelDecoder
from textvae.model.modeling import TextVAEModel
from textvae.runtime.seeds import Stream, derive_seed


def restart_decoder(
    model: TextVAEModel, optimizer: Optimizer, seed: int, embedding: Tensor | None = None
) -> None:
    """Give decoder and conditioning fresh weights, and drop their optimizer state.

    The weights are made from the seed, so that they are the same on all processes. The random
    state of the run does not change: the noise of later steps must not depend on the restart.

    Args:
        embedding: the decoder's embedding at the start of the run, (vocab, size), if it started
            from word vectors: it starts from them again.
    """
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which would also reset the random numbers of a GPU.
        torch.default_generator.manual_seed(derive_seed(seed, Stream.DECODER_RESTART))
        if isinstance(model.decoder, LanguageModelDecoder):
            restarted = _restart_new_weights(model, model.decoder)
        else:
            restarted = _restart_all_weights(model, embedding)
    for parameter in restarted:
        optimizer.state.pop(parameter, None)


def _restart_all_weights(model: TextVAEModel, embedding: Tensor | None) -> list[nn.Parameter]:
    """Give decoder and conditioning fresh weights, and return their parameters."""
    fresh = TextVAEModel(model.config)
    if embedding is not None:
        fresh.decoder.embed.load_state_dict({"weight": embedding})
    parts: list[tuple[Any, Any]] = [
        (model.decoder, fresh.decoder),
        (model.conditioning, fresh.conditioning),
    ]
    for part, fresh_part in parts:
        # Copying keeps the parameters themselves, which the optimizer and DDP refer to.
        part.load_state_dict(fresh_part.state_dict())
    return [*model.decoder.parameters(), *model.conditioning.parameters()]


def _restart_new_weights(model: TextVAEModel, decoder: LanguageModelDecoder) -> list[nn.Parameter]:
    """Let what the base does not have start again as in a new model; return its parameters."""
    new_weights = decoder.reset_new_weights()
    start = model.config.bos_token_id
    assert start is not None, "a text VAE has a start token"
    signals = decoder.compute_first_signals(start)
    for name, child in model.conditioning.items():
        conditioning: Any = child
        fresh: Any = CONDITIONINGS[name](conditioning.latent, conditioning.shape)
        if name in signals:
            signal, std = signals[name]
            fresh.start_from(signal, std)
        conditioning.load_state_dict(fresh.state_dict())
    return [*new_weights, *model.conditioning.parameters()]
