"""Infill: find words for the blanks of a sentence, at any positions.

First, latents are sampled that explain the visible words. Under each of them, a beam
search finds the most likely sentences in which the visible tokens are at their
positions, for all lengths of the blanks that fit. The sentences found under all latents
are pooled and ranked by their likelihood.

template.py              a sentence with blanks, as tokens
word_tokens.py           the tokens that may begin and continue the words in a blank
latent_proposals.py      latents that explain the visible words (one folder up)
constrained_decoding.py  generation with forced visible tokens
search.py                beam search under several latents, and ranking
conditional_modes.py     the method of Bowman et al., for comparison
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.inference.generate_arguments import build_token_arguments, refused_by_generate
from textvae.inference.memory import check_texts_fit
from textvae.uses.infill.conditional_modes import conditional_modes
from textvae.uses.infill.constrained_decoding import decode_fills, fill_blanks
from textvae.uses.infill.search import (
    MAX_CANDIDATES,
    rank_by_likelihood,
    search_latents,
)
from textvae.uses.infill.template import Template, parse_template
from textvae.uses.latent_proposals import propose_latents
from textvae.uses.records import Infill
from textvae.uses.settings import INFILL_SAMPLING_OPTIONS, InfillMethod, InfillSettings

_MAX_LENGTH_CHOICES = 16  # choices of the blanks' lengths that are tried

# The methods that use each of these numbers.
METHODS_WITH: dict[str, tuple[InfillMethod, ...]] = {
    "beams": ("resampling", "beam_search", "conditional_modes"),
    "latents": ("resampling", "sampling"),
}

# Options of `generate()` that hold for the words in blanks.
_WORD_OPTIONS = ("bad_words", "bad_words_ids", "repetition_penalty", "no_repeat_ngram_size")


def infill(bundle: Bundle, text: str, settings: InfillSettings) -> list[Infill]:
    """Return up to `n` different sentences, most likely first.

    Keys: `text`, `fills` (one per blank), and `score`, log p(x) in nats.

    Raises:
        ConfigError: the model gives texts no likelihood; or an option has no effect with the method,
            or names unknown tokens.
        DataError: the text has no blank or nothing but blanks, a blank within a word although
            tokens are not characters, or words that the tokenizer does not know; or it is too long.
    """
    _check_density(bundle)
    check_texts_fit("infill.latents", settings.latents, bundle.model.config.latent_dim)
    method = METHODS[settings.method]
    options = _collect_options(bundle, settings)
    template = parse_template(bundle, text)
    lengths = template.choose_lengths(
        settings.most_tokens, bundle.max_text_tokens, _MAX_LENGTH_CHOICES, settings.seed
    )
    with refused_by_generate():
        fills_by_sentence = method(bundle, template, lengths, settings, options)
    ranked = rank_by_likelihood(
        bundle, list(fills_by_sentence), settings.seed, max(MAX_CANDIDATES, 2 * settings.n)
    )
    return [
        {"text": sentence, "fills": fills_by_sentence[sentence], "score": score}
        for score, sentence in ranked[: settings.n]
    ]


def _check_density(bundle: Bundle) -> None:
    """Refuse a posterior without a density: sentences are ranked by their likelihood.

    Raises:
        ConfigError: the posterior of the model is a point.
    """
    if bundle.model.config.latent_dim and not bundle.model.posterior.distribution.has_density:
        raise ConfigError(
            "infill ranks sentences by their likelihood, and a model whose posterior is a point "
            "(model.posterior = deterministic) gives them none: train with another posterior, or "
            "use complete or vary."
        )


def _collect_options(bundle: Bundle, settings: InfillSettings) -> dict[str, Any]:
    """Return the arguments of `generate()` that the settings ask for.

    Raises:
        ConfigError: an option that was named has no effect with the method, or names unknown tokens.
    """
    written = settings.model_dump(exclude_none=True)
    names = list(_WORD_OPTIONS)
    _refuse_unused_sizes(settings)
    if settings.method == "sampling":
        names += INFILL_SAMPLING_OPTIONS
    else:
        _refuse_sampling_options(settings)
    options = {name: written[name] for name in names if name in written}
    arguments = options | build_token_arguments(bundle, options)
    arguments.pop("bad_words", None)
    return arguments


def _refuse_sampling_options(settings: InfillSettings) -> None:
    """Refuse options of sampling that the user named for a method that searches.

    Raises:
        ConfigError: there is such an option.
    """
    for name in INFILL_SAMPLING_OPTIONS:
        value = getattr(settings, name)
        if name in settings.model_fields_set and value is not None:
            raise ConfigError(
                f"infill.{name} = {value!r} has no effect with method = {settings.method!r}, "
                f"which searches; choose the method sampling, or leave {name} out."
            )


def _refuse_unused_sizes(settings: InfillSettings) -> None:
    """Refuse a number of beams or latents that the user named for a method without them.

    Raises:
        ConfigError: there is such a number.
    """
    for name, methods in METHODS_WITH.items():
        if name in settings.model_fields_set and settings.method not in methods:
            raise ConfigError(
                f"infill.{name} = {getattr(settings, name)} has no effect with method = "
                f"{settings.method!r}; choose the method {' or '.join(methods)}, or leave {name} out."
            )


_FillsBySentence = dict[str, list[str]]  # a sentence, and the fill of each of its blanks
_Lengths = list[tuple[int, ...]]  # choices of the number of tokens in each blank
_Options = dict[str, Any]  # arguments of `generate()`


def _resampling(
    bundle: Bundle,
    template: Template,
    lengths: _Lengths,
    settings: InfillSettings,
    options: _Options,
) -> _FillsBySentence:
    """Search under samples of p(z | visible words), and under the encoder's mean of the words."""
    if not bundle.model.config.latent_dim:
        return _beam_search(bundle, template, lengths, settings, options)
    z = propose_latents(bundle, template.visible_sentence, settings.latents, settings.seed)
    encoder_mean = block_posterior(bundle, [template.visible_sentence], 1).mean
    # Resampling often repeats a latent; one search is enough for each.
    z = torch.cat([encoder_mean, z]).unique(dim=0)
    kept = max(settings.beams, settings.n)
    return search_latents(bundle, template, lengths, z, settings.beams, kept, options)


def _sampling(
    bundle: Bundle,
    template: Template,
    lengths: _Lengths,
    settings: InfillSettings,
    options: _Options,
) -> _FillsBySentence:
    """Sample one sentence under each latent that explains the visible words.

    The choices of lengths are assigned to the latents in turn.
    """
    z = propose_latents(bundle, template.visible_sentence, settings.latents, settings.seed)
    rows = [template.build_row(lengths[index % len(lengths)]) for index in range(len(z))]
    sequences = fill_blanks(bundle, z, rows, settings.seed, do_sample=True, **options)
    fills = [decode_fills(bundle, row, ids) for row, ids in zip(rows, sequences, strict=True)]
    return _drop_wordless(template, fills)


def _beam_search(
    bundle: Bundle,
    template: Template,
    lengths: _Lengths,
    settings: InfillSettings,
    options: _Options,
) -> _FillsBySentence:
    """Search under a single latent, sampled from p(z | visible words).

    This also works for a language model, which has no latent.
    """
    z = propose_latents(bundle, template.visible_sentence, 1, settings.seed)
    kept = max(settings.beams, settings.n)
    return search_latents(bundle, template, lengths, z, settings.beams, kept, options)


def _infill_by_conditional_modes(
    bundle: Bundle,
    template: Template,
    lengths: _Lengths,
    settings: InfillSettings,
    options: _Options,
) -> _FillsBySentence:
    """Iterate conditional modes for each choice of lengths."""
    rows = [template.build_row(choice) for choice in lengths]
    fills = conditional_modes(bundle, template, rows, settings.beams, settings.seed, options)
    return _drop_wordless(template, fills)


def _drop_wordless(template: Template, fills: Iterable[list[str]]) -> _FillsBySentence:
    """Return the sentences in which each fill is a word or a part of one."""
    return {
        template.fill(row_fills): row_fills for row_fills in fills if template.accepts(row_fills)
    }


_Method = Callable[[Bundle, Template, _Lengths, InfillSettings, _Options], _FillsBySentence]

METHODS: dict[InfillMethod, _Method] = {
    "resampling": _resampling,
    "sampling": _sampling,
    "beam_search": _beam_search,
    "conditional_modes": _infill_by_conditional_modes,
}
