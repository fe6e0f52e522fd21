"""Uncertainty: how sure the model is of what a sentence means to it.

Two views of q(z | x): its spread, and how much the sentences that draws from it
decode to differ from one another. Both are there before the answer is known;
`error`, how much of the sentence the reconstruction loses, is what they foretell.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import posterior
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import Stream, seeded
from textvae.schema import StrictSettings

FIELDS = ("spread", "disagreement", "reconstruction", "error")  # of a record


class UncertaintySettings(StrictSettings):
    """How thoroughly."""

    draws: int = Field(8, ge=2, description="of z, a sentence, each decoded")
    seed: int = Field(0, ge=0)


def uncertainty(
    bundle: Bundle, texts: Sequence[str], settings: UncertaintySettings, progress: bool = False
) -> list[dict[str, Any]]:
    """Return, of each text: `spread`, `disagreement`, and for their check `reconstruction` and `error`.

    `spread` is the entropy of q(z | x) in nats a dimension, estimated by the draws
    (None where q has no density); `disagreement` the mean difference between any
    two of the sentences the draws decode to, `error` that between the text and its
    reconstruction: one less the share of words in common and in order, 0 to 1.
    """
    if not texts:
        return []
    q = posterior(bundle, texts, progress=progress)
    with seeded(settings.seed, Stream.UNCERTAINTY):
        z = torch.stack([q.sample() for _ in range(settings.draws)], dim=1)  # (n, draws, latent)
    options = DecodingSettings(seed=settings.seed)
    decoded = decode_latents(
        bundle, z.flatten(0, 1), options, samples_by_default=False, progress=progress
    )
    rewritten = decode_latents(bundle, q.mean, options, samples_by_default=False, progress=progress)
    records = []
    for place, (text, again, spread) in enumerate(
        zip(texts, rewritten, entropies(q, z), strict=True)
    ):
        pairs = combinations(decoded[place * settings.draws : (place + 1) * settings.draws], 2)
        mine = {"spread": spread, "disagreement": fmean(word_difference(*pair) for pair in pairs)}
        records.append({**mine, "reconstruction": again, "error": word_difference(text, again)})
    return records


def entropies(q: Distribution, z: Tensor) -> list[float | None]:
    """Return -log q(z | x) of each text's draws, (n, draws, latent), averaged, in nats a dimension."""
    if not q.has_density:
        return [None] * len(z)
    log_densities = torch.stack([q.log_prob(z[:, draw]) for draw in range(z.shape[1])])
    nats: list[float | None] = (-log_densities.mean(0) / z.shape[2]).tolist()
    return nats


def word_difference(one: str, other: str) -> float:
    """Return one less the share of words two texts have in common and in order: 0 for the same, 1 for nothing."""
    return 1 - SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


def calibration_curve(
    records: Sequence[dict[str, Any]], key: str, groups: int = 10
) -> list[tuple[float, float]]:
    """Return mean `key` and mean `error` of groups of equal size, from the surest to the least sure."""
    rising = sorted(records, key=lambda record: record[key])
    cuts = [round(group * len(rising) / groups) for group in range(groups + 1)]
    parts = [rising[start:end] for start, end in pairwise(cuts) if end > start]
    return [
        (fmean(record[key] for record in part), fmean(record["error"] for record in part))
        for part in parts
    ]
