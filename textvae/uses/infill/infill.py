"""Infill: words for the blanks of a sentence, in any places.

Latents that explain the visible words are found; under each of them the
likeliest sentences are searched for whose visible tokens stand at their places,
the blanks being of every length that fits. All that are found stand side by
side, ranked by their likelihood.

template.py           a sentence with blanks, as tokens
proposals.py          latents that explain what is visible
keeping.py            writing into blanks
search.py             beam searches under several latents
ranking.py            candidates of all lengths side by side
conditional_modes.py  Bowman's way, for comparison
"""

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field

from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.schema import StrictSettings, choose
from textvae.uses.infill.conditional_modes import conditional_modes
from textvae.uses.infill.constrained_decoding import fills_of, write_into
from textvae.uses.infill.search import KEPT, have_words, ranked, search
from textvae.uses.infill.template import Template, parse
from textvae.uses.latent_proposals import proposals

PATTERNS = 16  # choices of the blanks' lengths that are tried


class InfillSettings(StrictSettings):
    """How thoroughly blanks are filled."""

    n: int = Field(5, ge=1, description="sentences to return")
    method: str = "resampling"
    most_tokens: int = Field(4, ge=1, description="in a blank")
    latents: int = Field(8, ge=1, description="under each of which is searched, or a sentence written")
    temperature: float = Field(0.7, gt=0, description="of sampling")
    beams: int = Field(6, ge=2, description="of the searches")
    seed: int = Field(0, ge=0)


def infill(bundle: Bundle, text: str, settings: InfillSettings) -> list[dict[str, Any]]:
    """Return up to `n` different sentences, likeliest first: `text`, `fills`, and `score`, the log p(x) in nats.

    Raises:
        DataError: the text has no blank, or nothing else, or words the model does not know, or is too long.
    """
    write = choose(METHODS, settings.method, "method")
    template = parse(bundle, text)
    lengths = template.lengths(settings.most_tokens, bundle.room, PATTERNS, settings.seed)
    filled = write(bundle, template, lengths, settings)
    scored = ranked(bundle, list(filled), settings.seed, max(KEPT, 2 * settings.n))
    return [{"text": sentence, "fills": filled[sentence], "score": score} for score, sentence in scored][: settings.n]


Filled = dict[str, list[str]]  # a sentence, and what its blanks were filled with


def resampling(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Search under latents that the visible words may have come from, the encoder's mean of them among these."""
    if not bundle.model.config.latent_dim:
        return beam_search(bundle, template, lengths, settings)
    z = proposals(bundle, template.texts, settings.latents, settings.seed)
    z = torch.cat([block_posterior(bundle, [template.shown], 1).mean, z]).unique(dim=0)
    return search(bundle, template, lengths, z, settings.beams, max(settings.beams, settings.n))


def sampling(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Write a sentence from each of the latents that explain the visible words, each with the next lengths."""
    z = proposals(bundle, template.texts, settings.latents, settings.seed)
    rows = [template.forced(lengths[at % len(lengths)]) for at in range(len(z))]
    ids = write_into(bundle, z, rows, settings.seed, do_sample=True, temperature=settings.temperature)
    return with_words(template, (fills_of(bundle, row, found) for row, found in zip(rows, ids, strict=True)))


def with_words(template: Template, fills: Iterable[list[str]]) -> Filled:
    """Return the sentences whose fills all have a letter or a digit."""
    return {template.filled(each): each for each in fills if have_words(each)}


def beam_search(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Search under a single latent, the likeliest to explain the visible words; what a language model can do."""
    z = proposals(bundle, template.texts, 1, settings.seed)
    return search(bundle, template, lengths, z, settings.beams, max(settings.beams, settings.n))


def modes(bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings) -> Filled:
    """Iterate conditional modes."""
    rows = [template.forced(choice) for choice in lengths]
    found = conditional_modes(bundle, template, rows, settings.beams, settings.seed)
    return with_words(template, found)


METHODS = {
    "resampling": resampling,
    "sampling": sampling,
    "beam_search": beam_search,
    "conditional_modes": modes,
}
