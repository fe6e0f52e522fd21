"""Latents that may have given what is visible: drawn from the encoder and the prior, resampled by what they explain."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textvae.data.batching import decoder_side
from textvae.data.tokenization import encode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.inference.generate import prior_draws
from textvae.runtime.seeds import derived

DRAWS = 256  # from the encoder, and as many from the prior


DRAWN, RESAMPLED = 3, 4  # set these draws apart from others of the seed


def proposals(bundle: Bundle, visible: Sequence[str], count: int, seed: int) -> Tensor:
    """Draw `count` latents, (count, latent), from an estimate of p(z | visible words).

    The visible words are read as one sentence. A language model has no latent: its are empty.
    """
    if not bundle.model.config.latent_dim:
        return torch.zeros(count, 0)
    z, log_weights = weighed(bundle, " ".join(" ".join(visible).split()), DRAWS, seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(derived(seed, RESAMPLED))
        return z[torch.multinomial(log_weights.softmax(0), count, replacement=True)]


def log_evidence(bundle: Bundle, text: str, draws: int, seed: int) -> float:
    """Return log p(sentences that begin with `text`) in nats, importance-weighted; exact for a language model."""
    if not bundle.model.config.latent_dim:
        with torch.inference_mode():
            return float(explained(bundle, text, torch.zeros(1, 0)))
    log_weights = weighed(bundle, text, draws // 2, seed)[1]
    return float(log_weights.logsumexp(0)) - math.log(len(log_weights))


def weighed(bundle: Bundle, text: str, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return latents, (2 draws, latent), from the encoder and the prior, and their log weights, (2 draws,).

    The proposal is the even mixture of q(z | text) and p(z), half of the draws
    from each; a weight is p(z) p(text | z) over the mixture.
    """
    with torch.random.fork_rng([]), torch.inference_mode():
        torch.manual_seed(derived(seed, DRAWN))
        q = block_posterior(bundle, [text], 1)
        z = torch.cat([*(q.sample() for _ in range(draws)), prior_draws(bundle, draws, seed)])
        log_weights = explained(bundle, text, z).double()
        if q.has_density:
            prior = bundle.prior.log_prob(z.to(bundle.device)).cpu()
            log_weights += prior - torch.logaddexp(prior, q.log_prob(z)) + math.log(2)
    return z, log_weights


def explained(bundle: Bundle, text: str, z: Tensor) -> Tensor:
    """Return log p(text | z) in nats without the end, (draws,), for z of (draws, latent)."""
    batch = bundle.batch([encode_batch(bundle.tokenizer, [text])[0][: bundle.room]])
    repeated = {name: part.expand(len(z), *part.shape[1:]) for name, part in decoder_side(batch).items()}
    output = bundle.model(**repeated, latent=z.to(bundle.device, bundle.model.dtype))
    tokens: Tensor = output.token_reconstruction
    return -tokens[:, :-1].sum(1).cpu()  # the last is the end's
