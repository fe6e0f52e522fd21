"""The terms of log p(x) under samples of z: importance weights, reconstruction and KL.

The samples of a sentence depend on its own tokens and on the seed, and not on the other
sentences of the batch (see `iterate_batches`). What a batch still changes is the rounding
of the encoder and the decoder, since matrix products of other sizes add up in another order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textvae.data.batching import Batch
from textvae.inference.bundle import Bundle
from textvae.inference.memory import check_count_fits
from textvae.model.importance import (
    add_decoder_states,
    log_importance_weights,
    repeat_decoder_inputs,
)
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian, Distribution
from textvae.runtime.seeds import derive_seed

# Tokens in a batch of distinct sentences; the decoder then gets each sentence many times.
LIKELIHOOD_BATCH_TOKENS = 1024
# Tokens that go through the decoder at once, on a CPU and on a GPU.
_MAX_DECODER_TOKENS = 16_384
_MAX_DECODER_TOKENS_GPU = 131_072
# Samples of a sentence that are in memory at once. It must not depend on the batch: it decides
# which samples a sentence gets.
_SAMPLES_PER_BLOCK = 500
_BYTES_PER_COST = 12  # a cost in single precision, and its copy in double precision


@dataclass(frozen=True)
class SampledTerms:
    """The terms of the ELBO of each sentence under samples of z, in nats.

    Shapes:
        token_nll: (samples, batch, length), -log p(x | z) of each token; 0 under padding
        kl: (samples, batch), of which only estimates differ between samples; None if the
            posterior has no density
        log_weights: (samples, batch), log p(x, z) - log q(z | x); None if it has no density
    """

    token_nll: Tensor
    kl: Tensor | None
    log_weights: Tensor | None

    @property
    def reconstruction(self) -> Tensor:
        """The values of -log p(x | z), (samples, batch)."""
        return self.token_nll.sum(2)


def sample_log_weights(
    bundle: Bundle, batch: Batch, samples: int, width: Tensor | None = None
) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch), in double precision.

    Args:
        width: factors of the standard deviations of q, (latent,), if z is to be sampled from a
            wider or narrower Gaussian than q, whose density is then in the weights.
    """
    sentences = len(batch["labels"])
    check_count_fits("samples", samples, sentences * _BYTES_PER_COST, bundle.device)
    proposal = _encode(bundle, batch)
    if width is not None:
        proposal = scale_width(proposal, width)
    # A language model has no latent: every weight is p(x), so one pass is enough.
    distinct = samples if bundle.model.config.latent_dim else 1
    portions = iterate_weighted_samples(bundle.model, proposal, batch, distinct)
    return torch.cat([log_weights for _, log_weights in portions]).expand(samples, -1)


def sample_terms(bundle: Bundle, batch: Batch, samples: int) -> SampledTerms:
    """Return the terms of the ELBO and the importance weights under the same samples of z.

    Normalizers are in single precision on all hardware. In bf16 they would take half the time,
    but the rounding, which depends on the batch, could change a sentence's terms by 3e-4 nats.
    """
    model = bundle.model
    tokens = batch["labels"].numel()
    check_count_fits("samples", samples, tokens * _BYTES_PER_COST, bundle.device)
    posterior = _encode(bundle, batch)
    prior = model.prior.conditional_on(batch.get("label_ids"))
    # Without noise, all samples are the same: one pass is enough.
    is_random = posterior.has_density and model.config.latent_dim
    batch = add_decoder_states(model, batch)
    costs = []
    kls = []
    ratios = []
    for z in _iterate_samples(posterior, batch, samples if is_random else 1):
        inputs: dict[str, Any] = {**repeat_decoder_inputs(model, batch, len(z))}
        nll = model.nll_per_token(**inputs, latent=z.flatten(0, 1))
        costs.append(nll.view(len(z), *batch["labels"].shape))
        if posterior.has_density:
            kls += [prior.kl(posterior, one_sample).sum(1) for one_sample in z]
            ratios.append(prior.log_prob(z) - posterior.log_prob(z))
    token_nll = torch.cat(costs).double()
    if not posterior.has_density:
        return SampledTerms(token_nll.expand(samples, -1, -1), None, None)
    log_weights = torch.cat(ratios) - token_nll.sum(2)
    return SampledTerms(
        token_nll.expand(samples, -1, -1),
        torch.stack(kls).double().expand(samples, -1),
        log_weights.expand(samples, -1),
    )


def iterate_weighted_samples(
    model: TextVAEModel, proposal: Distribution, batch: Batch, samples: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield z from a proposal, (portion, batch, latent), with log weights, (portion, batch).

    The samples go through the decoder in portions, which bounds the memory. Frozen layers below the
    entry of z run once for all portions.
    """
    batch = add_decoder_states(model, batch)
    for z in _iterate_samples(proposal, batch, samples):
        yield z, log_importance_weights(model, proposal, batch, z).double()


def scale_width(posterior: Distribution, width: Tensor) -> DiagonalGaussian:
    """Return a Gaussian with its standard deviations multiplied by `width`, (latent,)."""
    assert isinstance(posterior, DiagonalGaussian), "EvaluationInput refuses other posteriors"
    return DiagonalGaussian(posterior.mean, posterior.logvar + 2 * width.log().to(posterior.mean))


def _encode(bundle: Bundle, batch: Batch) -> Distribution:
    """Return q(z | x) of each sentence of a batch."""
    return bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])


def _iterate_samples(proposal: Distribution, batch: Batch, samples: int) -> Iterator[Tensor]:
    """Yield samples of z in portions that the decoder can take, each (portion, batch, latent).

    They come from each sentence's own seed. A batch without `noise_seeds` gets them from torch's
    global random numbers.
    """
    max_tokens = _MAX_DECODER_TOKENS_GPU if batch["input_ids"].is_cuda else _MAX_DECODER_TOKENS
    samples_at_once = max(1, max_tokens // batch["input_ids"].numel())
    for start in range(0, samples, _SAMPLES_PER_BLOCK):
        count = min(_SAMPLES_PER_BLOCK, samples - start)
        if "noise_seeds" in batch:
            seeds = batch["noise_seeds"].tolist()
            if start:
                seeds = [derive_seed(seed, start) for seed in seeds]
            z = proposal.sample_with_seeds(seeds, count)
        else:
            z = torch.stack([proposal.sample() for _ in range(count)])
        yield from z.split(samples_at_once)
