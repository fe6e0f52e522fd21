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
from textvae.uses.infill.constrained_decoding import decode_fills, fill_blanks
from textvae.uses.infill.search import (
    MAX_CANDIDATES,
    have_words,
    rank_by_likelihood,
    search_latents,
)
from textvae.uses.infill.template import Template, parse_template
from textvae.uses.latent_proposals import propose_latents

_MAX_LENGTH_CHOICES = 16  # choices of the blanks' lengths that are tried


class InfillSettings(StrictSettings):
    """How thoroughly blanks are filled."""

    n: int = Field(5, ge=1, description="sentences to return")
    method: str = "resampling"
    most_tokens: int = Field(4, ge=1, description="in a blank")
    latents: int = Field(
        8, ge=1, description="under each of which is searched, or a sentence written"
    )
    temperature: float = Field(0.7, gt=0, description="of sampling")
    beams: int = Field(6, ge=2, description="of the searches")
    seed: int = Field(0, ge=0)


def infill(bundle: Bundle, text: str, settings: InfillSettings) -> list[dict[str, Any]]:
    """Return up to `n` different sentences, likeliest first: `text`, `fills`, and `score`, the log p(x) in nats.

    Raises:
        DataError: the text has no blank, or nothing else, or words the model does not know, or is too long.
    """
    write = choose(METHODS, settings.method, "method")
    template = parse_template(bundle, text)
    lengths = template.lengths(
        settings.most_tokens, bundle.max_text_tokens, _MAX_LENGTH_CHOICES, settings.seed
    )
    filled = write(bundle, template, lengths, settings)
    scored = rank_by_likelihood(
        bundle, list(filled), settings.seed, max(MAX_CANDIDATES, 2 * settings.n)
    )
    return [
        {"text": sentence, "fills": filled[sentence], "score": score} for score, sentence in scored
    ][: settings.n]


_FillsBySentence = dict[str, list[str]]  # a sentence, and what its blanks were filled with


def _resampling(
    bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings
) -> _FillsBySentence:
    """Search under latents that the visible words may have come from, the encoder's mean of them among these."""
    if not bundle.model.config.latent_dim:
        return _beam_search(bundle, template, lengths, settings)
    z = propose_latents(bundle, template.texts, settings.latents, settings.seed)
    z = torch.cat([block_posterior(bundle, [template.shown], 1).mean, z]).unique(dim=0)
    return search_latents(
        bundle, template, lengths, z, settings.beams, max(settings.beams, settings.n)
    )


def _sampling(
    bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings
) -> _FillsBySentence:
    """Write a sentence from each of the latents that explain the visible words, each with the next lengths."""
    z = propose_latents(bundle, template.texts, settings.latents, settings.seed)
    rows = [template.forced(lengths[at % len(lengths)]) for at in range(len(z))]
    ids = fill_blanks(
        bundle, z, rows, settings.seed, do_sample=True, temperature=settings.temperature
    )
    return _drop_wordless(
        template, (decode_fills(bundle, row, found) for row, found in zip(rows, ids, strict=True))
    )


def _drop_wordless(template: Template, fills: Iterable[list[str]]) -> _FillsBySentence:
    """Return the sentences whose fills all have a letter or a digit."""
    return {template.filled(each): each for each in fills if have_words(each)}


def _beam_search(
    bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings
) -> _FillsBySentence:
    """Search under a single latent, the likeliest to explain the visible words; what a language model can do."""
    z = propose_latents(bundle, template.texts, 1, settings.seed)
    return search_latents(
        bundle, template, lengths, z, settings.beams, max(settings.beams, settings.n)
    )


def _infill_by_conditional_modes(
    bundle: Bundle, template: Template, lengths: list[tuple[int, ...]], settings: InfillSettings
) -> _FillsBySentence:
    """Iterate conditional modes."""
    rows = [template.forced(choice) for choice in lengths]
    found = conditional_modes(bundle, template, rows, settings.beams, settings.seed)
    return _drop_wordless(template, found)


METHODS = {
    "resampling": _resampling,
    "sampling": _sampling,
    "beam_search": _beam_search,
    "conditional_modes": _infill_by_conditional_modes,
}
