"""Latents that may have given what is visible: drawn from the encoder and the prior, resampled by what they explain."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textvae.data.batching import select_decoder_inputs
from textvae.data.tokenization import encode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.inference.generate import sample_prior
from textvae.runtime.seeds import Stream, seeded

_DRAWS_PER_SOURCE = 256  # from the encoder, and as many from the prior


def propose_latents(bundle: Bundle, visible: Sequence[str], count: int, seed: int) -> Tensor:
    """Draw `count` latents, (count, latent), from an estimate of p(z | visible words).

    The visible words are read as one sentence. A language model has no latent: its are empty.
    """
    if not bundle.model.config.latent_dim:
        return torch.zeros(count, 0)
    z, log_weights = sample_weighted_latents(
        bundle, " ".join(" ".join(visible).split()), _DRAWS_PER_SOURCE, seed
    )
    with seeded(seed, Stream.RESAMPLING):
        return z[torch.multinomial(log_weights.softmax(0), count, replacement=True)]


def log_evidence(bundle: Bundle, text: str, draws: int, seed: int) -> float:
    """Return log p(sentences that begin with `text`) in nats, importance-weighted; exact for a language model."""
    if not bundle.model.config.latent_dim:
        with torch.inference_mode():
            return float(_log_likelihood_of_prefix(bundle, text, torch.zeros(1, 0)))
    log_weights = sample_weighted_latents(bundle, text, draws // 2, seed)[1]
    return float(log_weights.logsumexp(0)) - math.log(len(log_weights))


def sample_weighted_latents(
    bundle: Bundle, text: str, draws: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return latents, (2 draws, latent), from the encoder and the prior, and their log weights, (2 draws,).

    The proposal is the even mixture of q(z | text) and p(z), half of the draws
    from each; a weight is p(z) p(text | z) over the mixture.
    """
    with seeded(seed, Stream.PROPOSALS), torch.inference_mode():
        q = block_posterior(bundle, [text], 1)
        z = torch.cat([*(q.sample() for _ in range(draws)), sample_prior(bundle, draws, seed)])
        log_weights = _log_likelihood_of_prefix(bundle, text, z).double()
        if q.has_density:
            prior = bundle.prior.log_prob(z.to(bundle.device)).cpu()
            log_weights += prior - torch.logaddexp(prior, q.log_prob(z)) + math.log(2)
    return z, log_weights


def _log_likelihood_of_prefix(bundle: Bundle, text: str, z: Tensor) -> Tensor:
    """Return log p(text | z) in nats without the end, (draws,), for z of (draws, latent)."""
    batch = bundle.make_batch([encode_batch(bundle.tokenizer, [text])[0][: bundle.max_text_tokens]])
    repeated = {
        name: part.expand(len(z), *part.shape[1:])
        for name, part in select_decoder_inputs(batch).items()
    }
    output = bundle.model(**repeated, latent=z.to(bundle.device, bundle.model.dtype))
    tokens: Tensor = output.token_reconstruction
    return -tokens[:, :-1].sum(1).cpu()  # the last is the end's
