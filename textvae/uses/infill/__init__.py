"""Infill: words for the blanks of a sentence, in any places.

Latents that explain the visible words are found; under each, sentences are
written whose visible tokens are forced at their places, the blanks being of
every length that fits; the different sentences are ranked by their likelihood.
What ranked best is read by the encoder, and another round is written from there.

template.py           a sentence with blanks, as tokens
proposals.py          latents that explain what is visible
keeping.py            writing into blanks
ranking.py            candidates of all lengths side by side
conditional_modes.py  Bowman's way, for comparison
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from textvae.bundle import Bundle
from textvae.parts import StrictSettings, choose
from textvae.seeds import derived
from textvae.uses.encode import block_posterior
from textvae.uses.infill.conditional_modes import conditional_modes
from textvae.uses.infill.keeping import fills_of, write_into
from textvae.uses.infill.ranking import KEPT, ranked
from textvae.uses.infill.template import Template, parse
from textvae.uses.proposals import proposals

PATTERNS = 16  # choices of the blanks' lengths that are tried
READ = 8  # sentences of the first round that the second starts from


class InfillSettings(StrictSettings):
    """How thoroughly blanks are filled."""

    n: int = Field(5, ge=1, description="sentences to return")
    method: str = "resampling"
    most_tokens: int = Field(4, ge=1, description="in a blank")
    candidates: int = Field(192, ge=1, description="sentences written in each round")
    temperature: float = Field(0.7, gt=0)
    beams: int = Field(5, ge=1, description="of the searches")
    seed: int = Field(0, ge=0)


def infill(bundle: Bundle, text: str, settings: InfillSettings) -> list[dict[str, Any]]:
    """Return up to `n` different sentences, likeliest first: `text`, `fills`, and `score`, the log p(x) in nats.

    Raises:
        DataError: the text has no blank, or nothing else, or words the model does not know, or is too long.
    """
    write = choose(METHODS, settings.method, "method")
    template = parse(bundle, text)
    lengths = template.lengths(settings.most_tokens, bundle.longest - 1, PATTERNS, settings.seed)
    filled = write(bundle, template, lengths, settings)
    scored = ranked(bundle, list(filled), settings.seed, max(KEPT, 2 * settings.n))
    return [{"text": sentence, "fills": filled[sentence], "score": score} for score, sentence in scored][: settings.n]


Filled = dict[str, list[str]]  # a sentence, and what its blanks were filled with


def resampling(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Write from latents that explain the visible words, then from those of the best sentences."""
    z = proposals(bundle, template.texts, settings.candidates, settings.seed)
    first = written(bundle, template, lengths, z, settings, 0)
    if not bundle.model.config.latent_dim or not first:
        return first
    best = [sentence for _, sentence in ranked(bundle, list(first), settings.seed, READ)]
    q = block_posterior(bundle, best, len(best))
    with torch.random.fork_rng([]):
        torch.manual_seed(derived(settings.seed, READ))
        z = torch.cat([q.sample() for _ in range(-(-settings.candidates // len(best)))])[: settings.candidates]
    second = written(bundle, template, lengths, z, settings, 1)
    return {**first, **second, **searched(bundle, template, lengths, q.mean[:1], settings)}


def written(
    bundle: Bundle,
    template: Template,
    lengths: list[tuple[int, ...]],
    z: Tensor,
    settings: InfillSettings,
    turn: int,
) -> Filled:
    """Write a sentence from each latent, each with the next choice of lengths; those without words are left out."""
    rows = [template.forced(lengths[at % len(lengths)]) for at in range(len(z))]
    options = {"do_sample": True, "temperature": settings.temperature}
    ids = write_into(bundle, z, rows, derived(settings.seed, turn), **options)
    return with_words(template, (fills_of(bundle, row, found) for row, found in zip(rows, ids, strict=True)))


def with_words(template: Template, fills: Any) -> Filled:
    """Return the sentences whose fills all have a letter or a digit."""
    return {template.filled(each): each for each in fills if all(any(map(str.isalnum, fill)) for fill in each)}


def beam_search(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Search from a single latent, the likeliest to explain the visible words; what a language model can do."""
    return searched(bundle, template, lengths, proposals(bundle, template.texts, 1, settings.seed), settings)


def searched(
    bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], z: Tensor, settings: InfillSettings
) -> Filled:
    """Write the likeliest sentences under one latent, (1, latent), for each choice of lengths."""
    rows = [template.forced(choice) for choice in lengths]
    beams = {"num_beams": settings.beams, "num_return_sequences": settings.beams}
    ids = write_into(bundle, z.expand(len(rows), -1), rows, settings.seed, **beams)
    return with_words(template, (fills_of(bundle, rows[at // settings.beams], each) for at, each in enumerate(ids)))


def modes(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Iterate conditional modes."""
    rows = [template.forced(choice) for choice in lengths]
    found = conditional_modes(bundle, template, rows, settings.beams, settings.seed)
    return with_words(template, found)


METHODS = {"resampling": resampling, "beam_search": beam_search, "conditional_modes": modes}
