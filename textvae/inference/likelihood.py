"""The importance weights of log p(x): log p(x, z) - log q(z | x), with z from q(z | x)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.inference.bundle import Bundle
from textvae.model.importance import log_importance_weights
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian, Distribution

# Tokens in a batch of distinct sentences; the decoder then gets each sentence many times.
LIKELIHOOD_BATCH_TOKENS = 1024
# Tokens that go through the decoder at once, on a CPU and on a GPU.
_MAX_DECODER_TOKENS = 16_384
_MAX_DECODER_TOKENS_GPU = 131_072


def sample_log_weights(
    bundle: Bundle, batch: Batch, samples: int, width: Tensor | None = None
) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch), in double precision.

    Args:
        width: factors of the standard deviations of q, (latent,), if z is to be sampled from a
            wider or narrower Gaussian than q, whose density is then in the weights.
    """
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    if not model.config.latent_dim:
        # A language model has no latent: every weight is p(x), so one pass is enough.
        z = posterior.sample().unsqueeze(0)
        weight = log_importance_weights(model, posterior, batch, z)
        return weight.double().expand(samples, -1)
    if width is not None:
        posterior = scale_width(posterior, width)
    portions = iterate_weighted_samples(model, posterior, batch, samples)
    return torch.cat([log_weights for _, log_weights in portions])


def iterate_weighted_samples(
    model: TextVAEModel, proposal: Distribution, batch: Batch, samples: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield z from a proposal, (portion, batch, latent), with log weights, (portion, batch).

    The samples go through the decoder in portions, which bounds the memory.
    """
    max_tokens = _MAX_DECODER_TOKENS_GPU if batch["input_ids"].is_cuda else _MAX_DECODER_TOKENS
    samples_at_once = max(1, max_tokens // batch["input_ids"].numel())
    for start in range(0, samples, samples_at_once):
        repeats = min(samples_at_once, samples - start)
        # One call per sample: the draws do not depend on how many fit into a portion.
        z = torch.stack([proposal.sample() for _ in range(repeats)])
        yield z, log_importance_weights(model, proposal, batch, z).double()


def scale_width(posterior: Distribution, width: Tensor) -> DiagonalGaussian:
    """Return a Gaussian with its standard deviations multiplied by `width`, (latent,)."""
    assert isinstance(posterior, DiagonalGaussian), "EvaluationInput refuses other posteriors"
    return DiagonalGaussian(posterior.mean, posterior.logvar + 2 * width.log().to(posterior.mean))
