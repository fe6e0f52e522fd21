"""Write candidates: from samples of a text's posterior and from points between two texts."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.generate_arguments import copy_choices
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import derive_seed, seeded
from textvae.uses.settings import AugmentSettings

# Fractions of the way to the other text. Beyond the middle, the candidate would be
# nearer to the other text than to its own.
MIN_INTERPOLATION = 0.2
MAX_INTERPOLATION = 0.5

# Keys that keep the three random streams of one round apart.
_INTERPOLATION_SEED_KEY = 0
_DECODING_SEED_KEY = 1
_SAMPLING_SEED_KEY = 2


class _Candidate(NamedTuple):
    """A text, how it was made, and the indices of the texts it was made from."""

    text: str
    method: Literal["sample", "interpolation"]
    sources: list[int]


def write_candidates(
    bundle: Bundle,
    q: Distribution,
    names: Sequence[str],
    origins: Sequence[int],
    settings: AugmentSettings,
    round_number: int,
) -> list[_Candidate]:
    """Write one candidate for each origin, which is an index of an input text.

    The candidates of a class with a single text are all samples because it has no other
    text to interpolate with. A conditional model decodes each candidate under its class.

    Args:
        q: the posteriors of the input texts.
        names: their classes.
    """
    seed = derive_seed(settings.seed, round_number, _INTERPOLATION_SEED_KEY)
    random = torch.Generator().manual_seed(seed)
    partners = [_pick_partner(names, origin, random) for origin in origins]
    is_between = torch.rand(len(origins), generator=random) < settings.interpolated
    is_between &= torch.tensor([partner is not None for partner in partners])
    # A text without a partner is paired with itself; its interpolation is not used.
    others = [
        origin if partner is None else partner
        for origin, partner in zip(origins, partners, strict=True)
    ]
    z = torch.where(
        is_between.unsqueeze(1),
        _interpolate_means(q.mean, origins, others, random),
        _sample_posteriors(q, origins, settings, round_number),
    )
    z = bundle.model.prior.project(z)
    decoding_seed = derive_seed(settings.seed, round_number, _DECODING_SEED_KEY)
    options = copy_choices(settings, settings.temperature, decoding_seed)
    label_ids = bundle.label_ids_for([names[origin] for origin in origins])
    texts = decode_latents(bundle, z, options, samples_by_default=False, label_ids=label_ids)
    candidates = []
    rows = zip(texts, origins, others, is_between.tolist(), strict=True)
    for text, origin, other, is_interpolated in rows:
        if is_interpolated:
            candidates.append(_Candidate(text, "interpolation", [origin, other]))
        else:
            candidates.append(_Candidate(text, "sample", [origin]))
    return candidates


def _pick_partner(names: Sequence[str], origin: int, random: torch.Generator) -> int | None:
    """Return the index of a random other text of the same class; None if it has no other."""
    others = [
        index for index, name in enumerate(names) if name == names[origin] and index != origin
    ]
    if not others:
        return None
    return others[int(torch.randint(len(others), (), generator=random))]


def _interpolate_means(
    means: Tensor, origins: Sequence[int], others: Sequence[int], random: torch.Generator
) -> Tensor:
    """Return a random point between the means of each origin and its partner, (n, latent)."""
    uniform = torch.rand(len(origins), 1, generator=random)
    fraction = MIN_INTERPOLATION + (MAX_INTERPOLATION - MIN_INTERPOLATION) * uniform
    return torch.lerp(means[list(origins)], means[list(others)], fraction)


def _sample_posteriors(
    q: Distribution, origins: Sequence[int], settings: AugmentSettings, round_number: int
) -> Tensor:
    """Return one sample per origin's posterior, (n, latent), its distance from the mean scaled."""
    chosen = q.map(lambda tensor: tensor[list(origins)])
    with seeded(derive_seed(settings.seed, round_number, _SAMPLING_SEED_KEY)):
        return chosen.mean + settings.spread * (chosen.sample() - chosen.mean)
