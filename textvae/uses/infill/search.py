"""A beam search under each of several latents: every one has sentences of its own to offer.

Under one latent a beam's score is log p(x | z), which says little of a sentence
found under another: what they find is pooled, and ranked by log p(x) afterwards.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import Tensor
from transformers import LogitsProcessorList

from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import build_start_inputs
from textvae.inference.encode import tokenize_and_truncate
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.uses.infill.constrained_decoding import VisibleTokensProcessor, decode_fills
from textvae.uses.infill.template import Template

_MAX_SCORES_IN_MEMORY = 2**25  # of tokens, in memory at once


@dataclass(frozen=True)
class _InfillCandidate:
    """A sentence that was found: log p(x | z) in nats but for what all begin with, and what its blanks hold."""

    score: float
    text: str
    fills: list[str]


def search_latents(
    bundle: Bundle,
    template: Template,
    lengths: Sequence[tuple[int, ...]],
    z: Tensor,
    beams: int,
    kept: int,
) -> dict[str, list[str]]:
    """Return the `kept` best sentences under each z of (latents, latent), over all lengths, with their fills."""
    at_once = max(
        1, _MAX_SCORES_IN_MEMORY // (len(lengths) * beams * bundle.model.config.vocab_size)
    )
    best: dict[str, list[str]] = {}
    for some in z.split(at_once):
        for found in beam_search_latents(bundle, template, lengths, some, beams):
            best |= {each.text: each.fills for each in _rank_distinct(found)[:kept]}
    return best


@torch.inference_mode()
def beam_search_latents(
    bundle: Bundle, template: Template, lengths: Sequence[tuple[int, ...]], z: Tensor, beams: int
) -> Iterator[list[_InfillCandidate]]:
    """Yield what is found under each z: of every choice of lengths, `beams` sentences."""
    rows, prefix = [template.forced(choice) for choice in lengths] * len(z), template.tokens[0]
    keeping = VisibleTokensProcessor(bundle, rows)
    written = bundle.model.generate(
        **build_start_inputs(bundle, len(rows), [prefix] * len(rows)),
        latent=z.to(bundle.device, bundle.model.dtype).repeat_interleave(len(lengths), 0),
        label_ids=bundle.fixed_label_ids(len(rows)),
        logits_processor=LogitsProcessorList([keeping]),
        max_new_tokens=keeping.width - len(prefix),
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        length_penalty=0.0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = []
    for at, (ids, score) in enumerate(
        zip(written.sequences.tolist(), written.sequences_scores.tolist(), strict=True)
    ):
        row = rows[at // beams]
        fills = decode_fills(bundle, row, ids[1 : len(row) + 1])
        found.append(_InfillCandidate(score, template.filled(fills), fills))
    each = len(lengths) * beams
    yield from (found[start : start + each] for start in range(0, len(found), each))


def _rank_distinct(found: Iterable[_InfillCandidate]) -> list[_InfillCandidate]:
    """Return the different sentences whose fills all have a letter or a digit, the best first."""
    different: dict[str, _InfillCandidate] = {}
    for each in sorted(found, key=lambda each: (-each.score, each.text)):
        if have_words(each.fills):
            different.setdefault(each.text, each)
    return list(different.values())


def have_words(fills: Iterable[str]) -> bool:
    """Tell whether each fill has a letter or a digit."""
    return all(any(map(str.isalnum, fill)) for fill in fills)


FIRST_SAMPLES, FINAL_SAMPLES = 6, 128  # importance samples: of all candidates, and of the best


MAX_CANDIDATES = 16


def log_likelihoods(bundle: Bundle, texts: Sequence[str], draws: int, seed: int) -> list[float]:
    """Return log p(x) of each text in nats: importance-weighted, or exact for a language model."""
    ids = tokenize_and_truncate(bundle, texts)
    dataset = Dataset.from_dict({"input_ids": ids, "length": [len(row) for row in ids]})
    found = [0.0] * len(texts)
    with torch.inference_mode():
        for places, batch in iterate_batches(
            bundle, dataset, seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, None
        ):
            nll = ImportanceSums.from_log_weights(sample_log_weights(bundle, batch, draws)).nll
            for place, value in zip(places, nll.tolist(), strict=True):
                found[place] = -value
    return found


def rank_by_likelihood(
    bundle: Bundle, texts: Sequence[str], seed: int, kept: int = MAX_CANDIDATES
) -> list[tuple[float, str]]:
    """Return the best of the different texts with their log p(x), best first: many are looked at, a few well."""
    different = list(dict.fromkeys(texts))
    if not different:
        return []
    for draws in (FIRST_SAMPLES, FINAL_SAMPLES) if len(different) > kept else (FINAL_SAMPLES,):
        scores = log_likelihoods(bundle, different, draws, seed)
        pairs = sorted(zip(scores, different, strict=True), key=lambda pair: (-pair[0], pair[1]))[
            :kept
        ]
        different = [text for _, text in pairs]
    return pairs
