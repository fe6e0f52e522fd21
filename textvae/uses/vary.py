"""Vary: write sentences near a sentence.

Latents are sampled around the posterior mean of the sentence, and each is decoded. The
spread is in standard deviations of the sentence's own posterior q(z | x): with spread 1
the latents are those from which the decoder learned to write this sentence, and beyond
it they become those of its neighbors. One number therefore means the same for models whose
posteriors are narrow and wide. A posterior without a width, as in an autoencoder, has no
such unit; then, and to compare models in the latent's own scale, the unit is the prior's
standard deviation.
"""

import torch
from torch import Tensor

from textvae.data.tokenization import decode_batch, encode_batch
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import check_not_blank, posterior, require_latent
from textvae.inference.generate import compute_prior_deviation
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import DecodingSettings
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import Stream, derive_seed, seeded
from textvae.uses.records import Variation
from textvae.uses.score import score
from textvae.uses.settings import ScoreSettings, VarySettings


def vary(
    bundle: Bundle, text: str, settings: VarySettings, options: DecodingSettings
) -> list[Variation]:
    """Return up to `n` different sentences near a sentence, nearest first.

    The sentence itself is not among them. Decoding is greedy unless the options say otherwise.
    There are fewer than `n` if that many different ones were not found in `rounds` rounds.

    Raises:
        ConfigError: the model is a language model, or its posterior has no width.
        DataError: the text is blank.
    """
    require_latent(bundle)
    check_not_blank(text)
    check_texts_fit("vary.n", settings.n, bundle.model.config.latent_dim)
    q = posterior(bundle, [text])
    if settings.unit == "posterior" and not q.has_density:
        raise ConfigError(
            "vary.unit = 'posterior': the posterior of this model is a point and has no standard "
            "deviation; choose unit = 'prior'."
        )
    found = _write_variations(bundle, text, q, settings, options)
    return _measure(bundle, found, q.mean[0], options.seed)


def _write_variations(
    bundle: Bundle, text: str, q: Distribution, settings: VarySettings, options: DecodingSettings
) -> list[str]:
    """Return up to `n` different sentences, in the order in which they were found."""
    original = _spell(bundle, text)
    found: dict[str, None] = {}
    for number in range(settings.rounds):
        missing = settings.n - len(found)
        if not missing:
            break
        seed = derive_seed(options.seed, Stream.VARIATIONS, number)
        z = bundle.model.prior.project(_sample_around(bundle, q, missing, settings, seed))
        texts = decode_latents(
            bundle, z, options.model_copy(update={"seed": seed}), samples_by_default=False
        )
        for written in texts:
            if written.strip() and _spell(bundle, written) != original:
                found[written] = None
    return list(found)


def _spell(bundle: Bundle, text: str) -> str:
    """Return a text as the model writes it, in one line: it may know no capital letters."""
    ids = encode_batch(bundle.tokenizer, [text])
    return " ".join(decode_batch(bundle.tokenizer, ids)[0].split())


def _sample_around(
    bundle: Bundle, q: Distribution, count: int, settings: VarySettings, seed: int
) -> Tensor:
    """Return latents around the posterior mean of one sentence, (count, latent)."""
    with seeded(seed):
        if settings.unit == "prior":
            noise = torch.randn(count, q.mean.shape[1]) * compute_prior_deviation(bundle)
        else:
            repeated = q.map(lambda tensor: tensor.expand(count, *tensor.shape[1:]))
            noise = repeated.sample() - q.mean
    return q.mean + settings.spread * noise


def _measure(bundle: Bundle, texts: list[str], mean: Tensor, seed: int) -> list[Variation]:
    """Return the sentences with their distances and log-likelihoods, nearest first."""
    if not texts:
        return []
    distances = (posterior(bundle, texts).mean - mean).norm(dim=1).tolist()
    scores = score(bundle, texts, ScoreSettings(seed=seed))
    variations = []
    for text, distance, record in zip(texts, distances, scores, strict=True):
        nll = record["iw_nll"]
        log_likelihood = None if nll is None else -nll
        variations.append(Variation(text=text, distance=distance, log_likelihood=log_likelihood))
    return sorted(variations, key=lambda record: (record["distance"], record["text"]))
