"""The importance weights of log p(x): log p(x, z) - log q(z | x), with z from q(z | x)."""

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.inference.bundle import Bundle
from textvae.model.importance import log_importance_weights

# Tokens in a batch of distinct sentences; the decoder then gets each sentence many times.
LIKELIHOOD_BATCH_TOKENS = 1024
# Tokens that go through the decoder at once, on a CPU and on a GPU.
_MAX_DECODER_TOKENS = 16_384
_MAX_DECODER_TOKENS_GPU = 131_072


def sample_log_weights(bundle: Bundle, batch: Batch, samples: int) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch), in double precision.

    The samples go through the decoder in portions, which bounds the memory.
    """
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    if not model.config.latent_dim:
        # A language model has no latent: every weight is p(x), so one pass is enough.
        z = posterior.sample().unsqueeze(0)
        weight = log_importance_weights(model, posterior, batch, z)
        return weight.double().expand(samples, -1)
    max_tokens = _MAX_DECODER_TOKENS_GPU if batch["input_ids"].is_cuda else _MAX_DECODER_TOKENS
    samples_at_once = max(1, max_tokens // batch["input_ids"].numel())
    weights = []
    for start in range(0, samples, samples_at_once):
        repeats = min(samples_at_once, samples - start)
        # One call per sample: the draws do not depend on how many fit into a portion.
        z = torch.stack([posterior.sample() for _ in range(repeats)])  # (repeats, batch, latent)
        weights.append(log_importance_weights(model, posterior, batch, z))
    return torch.cat(weights).double()
