"""Generate: sentences from the prior."""

import torch
from torch import Tensor

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.runtime.seeds import Stream, derive_seed, seeded


def sample_prior(bundle: Bundle, count: int, seed: int, label_ids: Tensor | None = None) -> Tensor:
    """Return z from p(z), or p(z | label), (count, latent), the same for the same seed."""
    prior = bundle.prior if label_ids is None else bundle.model.prior.conditional_on(label_ids)
    with seeded(seed), torch.no_grad():
        draws: Tensor = prior.sample(count)
    return draws


def generate(
    bundle: Bundle,
    count: int,
    options: DecodingSettings,
    batch_size: int = 512,
    progress: bool = False,
) -> list[str]:
    """Write a sentence from each of `count` draws from the prior; tokens are sampled unless options say otherwise.

    A conditional model's are of the bundle's label, or each of one drawn as often as training sentences have it.
    """
    label_ids = sample_labels(bundle, count, options.seed)
    z = sample_prior(bundle, count, options.seed, label_ids)
    return decode_latents(
        bundle,
        z,
        options,
        samples=True,
        batch_size=batch_size,
        progress=progress,
        label_ids=label_ids,
    )


def sample_labels(bundle: Bundle, count: int, seed: int) -> Tensor | None:
    """Return a label for each text, (count,): the bundle's, or draws from p(y); None of an unconditional model."""
    labels = bundle.labels
    if labels is None or bundle.label is not None:
        return bundle.label_ids(count)
    random = torch.Generator().manual_seed(derive_seed(seed, Stream.LABELS))
    return torch.multinomial(
        torch.tensor(labels.counts, dtype=torch.float), count, replacement=True, generator=random
    )
