"""The importance weights of log p(x): log p(x, z) - log q(z | x) for draws z from q(z | x)."""

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.inference.bundle import Bundle
from textvae.model.importance import log_importance_weights

LIKELIHOOD_BATCH_TOKENS = 1024  # of distinct sentences; each is then repeated


_MAX_DECODER_TOKENS = 16_384  # that go through the decoder at once


_MAX_DECODER_TOKENS_GPU = 131_072  # the same on a GPU


def sample_log_weights(bundle: Bundle, batch: Batch, samples: int) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch); a bounded number of draws is in memory at once."""
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    if not model.config.latent_dim:  # a language model: every weight is p(x)
        return (
            log_importance_weights(model, posterior, batch, posterior.sample().unsqueeze(0))
            .double()
            .expand(samples, -1)
        )
    room = _MAX_DECODER_TOKENS_GPU if batch["input_ids"].is_cuda else _MAX_DECODER_TOKENS
    at_once = max(1, room // batch["input_ids"].numel())
    weights = []
    for start in range(0, samples, at_once):
        repeats = min(at_once, samples - start)
        z = torch.stack([posterior.sample() for _ in range(repeats)])  # (repeats, batch, latent)
        weights.append(log_importance_weights(model, posterior, batch, z))
    return torch.cat(weights).double()
