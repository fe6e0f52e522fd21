"""Sample latents that explain the visible words of a sentence.

Latents are proposed by the encoder and by the prior, and resampled by how likely they
make the visible words (importance resampling).
"""

import math

import torch
from torch import Tensor

from textvae.data.batching import select_decoder_inputs
from textvae.data.tokenization import encode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.inference.generate import sample_prior
from textvae.model.importance import add_decoder_states
from textvae.runtime.seeds import Stream, seeded

_DRAWS_PER_SOURCE = 256  # from the encoder, and as many from the prior


def propose_latents(bundle: Bundle, visible: str, count: int, seed: int) -> Tensor:
    """Sample `count` latents, (count, latent), from an estimate of p(z | visible words).

    A language model has no latent: its latents have width 0.

    Args:
        visible: the visible words as one sentence.
    """
    if not bundle.model.config.latent_dim:
        return torch.zeros(count, 0)
    z, log_weights = sample_weighted_latents(bundle, visible, _DRAWS_PER_SOURCE, seed)
    with seeded(seed, Stream.RESAMPLING):
        return z[torch.multinomial(log_weights.softmax(0), count, replacement=True)]


def log_evidence(bundle: Bundle, text: str, draws: int, seed: int) -> float:
    """Return the log probability in nats that a sentence begins with `text`.

    It is estimated by importance sampling, and exact for a language model.

    Args:
        draws: importance samples, half of them from the encoder and half from the prior.
    """
    if not bundle.model.config.latent_dim:
        with torch.inference_mode():
            return float(_log_likelihood_of_prefix(bundle, text, torch.zeros(1, 0)))
    log_weights = sample_weighted_latents(bundle, text, draws // 2, seed)[1]
    return float(log_weights.logsumexp(0)) - math.log(len(log_weights))


def sample_weighted_latents(
    bundle: Bundle, text: str, draws: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return latents sampled from the encoder and the prior, and their log weights.

    Args:
        draws: samples from each of the two.

    Shapes:
        latents: (2 draws, latent); log weights: (2 draws,)

    The proposal is the even mixture of q(z | text) and p(z), and half of the samples
    come from each. A weight is p(z) p(text | z) divided by the density of the mixture.
    """
    with seeded(seed, Stream.PROPOSALS), torch.inference_mode():
        q = block_posterior(bundle, [text], 1)
        encoder_draws = [q.sample() for _ in range(draws)]
        z = torch.cat([*encoder_draws, sample_prior(bundle, draws, seed)])
        log_weights = _log_likelihood_of_prefix(bundle, text, z).double()
        # Without a density, as in an autoencoder, only the likelihood can be used.
        if q.has_density:
            prior = bundle.prior.log_prob(z.to(bundle.device)).cpu()
            # log p(z) - log((p(z) + q(z)) / 2)
            log_weights += prior - torch.logaddexp(prior, q.log_prob(z)) + math.log(2)
    return z, log_weights


def _log_likelihood_of_prefix(bundle: Bundle, text: str, z: Tensor) -> Tensor:
    """Return log p(text | z) in nats without the end token, (draws,), for z of (draws, latent)."""
    ids = encode_batch(bundle.tokenizer, [text])[0][: bundle.max_text_tokens]
    batch = add_decoder_states(bundle.model, bundle.make_batch([ids]))
    repeated = {
        name: part.expand(len(z), *part.shape[1:])
        for name, part in select_decoder_inputs(batch).items()
    }
    output = bundle.model(**repeated, latent=z.to(bundle.device, bundle.model.dtype))
    nll: Tensor = output.token_reconstruction
    return -nll[:, :-1].sum(1).cpu()  # the last token is the end token
