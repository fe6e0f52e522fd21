"""Candidates: from draws of a text's posterior, and from points between two texts of a class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import derive_seed, seeded

if TYPE_CHECKING:
    from textvae.uses.augment.settings import AugmentSettings

MIN_INTERPOLATION, MAX_INTERPOLATION = (
    0.2,
    0.5,
)  # of the way to the other text: beyond, it would be the other's


class _Candidate(NamedTuple):
    """A candidate, and where it comes from."""

    text: str
    method: str
    sources: list[int]


def write_candidates(
    bundle: Bundle,
    given: Distribution,
    names: Sequence[str],
    origins: Sequence[int],
    settings: "AugmentSettings",
    turn: int,
) -> list[_Candidate]:
    """Write one candidate for each origin, a place among the given texts.

    A class of one text has no other to go towards: its candidates are all draws.
    A conditional model is told the class of each.
    """
    random = torch.Generator().manual_seed(derive_seed(settings.seed, turn, 0))
    partners = [_pick_partner(names, place, random) for place in origins]
    is_between = torch.rand(len(origins), generator=random) < settings.interpolated
    is_between &= torch.tensor([other is not None for other in partners])
    others = [
        place if other is None else other for place, other in zip(origins, partners, strict=True)
    ]
    share = MIN_INTERPOLATION + (MAX_INTERPOLATION - MIN_INTERPOLATION) * torch.rand(
        len(origins), 1, generator=random
    )
    start, end = given.mean[list(origins)], given.mean[others]
    z = torch.where(
        is_between.unsqueeze(1),
        torch.lerp(start, end, share),
        _sample_posteriors(given, origins, settings, turn),
    )
    options = DecodingSettings(
        temperature=settings.temperature, seed=derive_seed(settings.seed, turn, 1)
    )
    texts = decode_latents(
        bundle,
        z,
        options,
        samples_by_default=False,
        label_ids=bundle.label_ids_for([names[place] for place in origins]),
    )
    return [
        _Candidate(
            text, "interpolation" if between else "sample", [place, other] if between else [place]
        )
        for text, between, place, other in zip(
            texts, is_between.tolist(), origins, others, strict=True
        )
    ]


def _pick_partner(names: Sequence[str], place: int, random: torch.Generator) -> int | None:
    """Return the place of another text of the same class, by chance; None where there is none."""
    others = [other for other, name in enumerate(names) if name == names[place] and other != place]
    return others[int(torch.randint(len(others), (), generator=random))] if others else None


def _sample_posteriors(
    given: Distribution, origins: Sequence[int], settings: "AugmentSettings", turn: int
) -> Tensor:
    """Return a draw from each origin's posterior, (n, latent), spread about its mean."""
    chosen = given.map(lambda tensor: tensor[list(origins)])
    with seeded(derive_seed(settings.seed, turn, 2)):
        return chosen.mean + settings.spread * (chosen.sample() - chosen.mean)
