"""Generate sentences from the prior."""

import torch
from torch import Tensor

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import DecodingSettings
from textvae.runtime.seeds import Stream, derive_seed, seeded

_DEVIATION_DRAWS = 10_000


def generate(
    bundle: Bundle,
    count: int,
    options: DecodingSettings,
    batch_size: int = 512,
    progress: bool = False,
) -> list[str]:
    """Decode `count` sentences from latents of the prior; tokens are sampled by default.

    A conditional model uses the bundle's fixed label. Without one, it samples a
    label for each sentence, with the frequencies of the training sentences.
    """
    check_texts_fit("generate.n", count, bundle.model.config.latent_dim)
    label_ids = sample_labels(bundle, count, options.seed)
    z = sample_prior(bundle, count, options.seed, label_ids)
    return decode_latents(
        bundle,
        z,
        options,
        samples_by_default=True,
        batch_size=batch_size,
        progress=progress,
        label_ids=label_ids,
    )


def sample_prior(bundle: Bundle, count: int, seed: int, label_ids: Tensor | None = None) -> Tensor:
    """Return latents from p(z), or from p(z | label), (count, latent); the seed determines them."""
    prior = bundle.prior if label_ids is None else bundle.model.prior.conditional_on(label_ids)
    # No GPU needs the seed: the prior samples on the CPU, whatever device the model is on.
    with seeded(seed), torch.no_grad():
        latents: Tensor = prior.sample(count)
    return latents


def sample_labels(bundle: Bundle, count: int, seed: int) -> Tensor | None:
    """Return one label per text, (count,): the bundle's fixed label, or samples of p(y).

    Returns None for an unconditional model.
    """
    labels = bundle.labels
    if labels is None or bundle.fixed_label_id is not None:
        return bundle.fixed_label_ids(count)
    random = torch.Generator().manual_seed(derive_seed(seed, Stream.LABELS))
    weights = torch.tensor(labels.counts, dtype=torch.float)
    return torch.multinomial(weights, count, replacement=True, generator=random)


def compute_prior_deviation(bundle: Bundle) -> Tensor:
    """Return the standard deviation of the prior in each dimension, (latent,), from samples."""
    return sample_prior(bundle, _DEVIATION_DRAWS, derive_seed(0, Stream.LATENT_DEVIATION)).std(0)
