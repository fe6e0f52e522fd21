"""Beam search under several latents, pooled and ranked.

Under one latent a beam's score is log p(x | z), which cannot be compared with the score
of a sentence found under another latent. Therefore the sentences of all latents are
pooled and ranked by log p(x) afterwards.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from textvae.uses.infill.constrained_decoding import (
    VisibleTokensProcessor,
    decode_fills,
    drop_word_options,
)
from textvae.uses.infill.template import Template

_MAX_SCORES_IN_MEMORY = 2**25  # token scores of all beams that are searched at once

# Importance samples: few to choose among many candidates, more to rank the best ones.
FIRST_SAMPLES = 6
FINAL_SAMPLES = 128

MAX_CANDIDATES = 16


@dataclass(frozen=True)
class _InfillCandidate:
    """A sentence found by beam search.

    Attributes:
        score: log p(x | z) in nats, without the tokens before the first blank, which are
            the same for all candidates.
        text: the sentence.
        fills: the text of each blank.
    """

    score: float
    text: str
    fills: list[str]


def search_latents(
    bundle: Bundle,
    template: Template,
    lengths: Sequence[tuple[int, ...]],
    z: Tensor,
    beams: int,
    max_candidates: int,
    options: Mapping[str, Any] | None = None,
) -> dict[str, list[str]]:
    """Return the best sentences under each latent, over all lengths, with their fills.

    Args:
        lengths: choices of the number of tokens in each blank.
        z: (latents, latent).
        max_candidates: the largest number of sentences to keep for each latent.
        options: further arguments of transformers' `generate`.
    """
    scores_per_latent = len(lengths) * beams * bundle.model.config.vocab_size
    latents_at_once = max(1, _MAX_SCORES_IN_MEMORY // scores_per_latent)
    best: dict[str, list[str]] = {}
    for part in z.split(latents_at_once):
        for candidates in beam_search_latents(bundle, template, lengths, part, beams, options):
            ranked = _rank_distinct(template, candidates)
            best |= {each.text: each.fills for each in ranked[:max_candidates]}
    return best


@torch.inference_mode()
def beam_search_latents(
    bundle: Bundle,
    template: Template,
    lengths: Sequence[tuple[int, ...]],
    z: Tensor,
    beams: int,
    options: Mapping[str, Any] | None = None,
) -> Iterator[list[_InfillCandidate]]:
    """Yield the candidates of each latent: `beams` sentences for each choice of lengths."""
    rows = [template.build_row(choice) for choice in lengths] * len(z)
    prefix = template.visible_tokens[0]
    processor = VisibleTokensProcessor(bundle, rows, options or {})
    generated = bundle.model.generate(
        **build_start_inputs(bundle, len(rows), [prefix] * len(rows)),
        latent=z.to(bundle.device, bundle.model.dtype).repeat_interleave(len(lengths), 0),
        label_ids=bundle.fixed_label_ids(len(rows)),
        logits_processor=LogitsProcessorList([processor]),
        max_new_tokens=processor.max_length - len(prefix),
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        # Scores stay sums of log-probabilities. By default they are divided by the length.
        length_penalty=0.0,
        return_dict_in_generate=True,
        output_scores=True,
        **drop_word_options(options or {}),
    )
    sequences = generated.sequences.tolist()
    scores = generated.sequences_scores.tolist()
    candidates = []
    for index, (ids, score) in enumerate(zip(sequences, scores, strict=True)):
        row = rows[index // beams]
        fills = decode_fills(bundle, row, ids[1 : len(row) + 1])
        candidates.append(_InfillCandidate(score, template.fill(fills), fills))
    per_latent = len(lengths) * beams
    for start in range(0, len(candidates), per_latent):
        yield candidates[start : start + per_latent]


def rank_by_likelihood(
    bundle: Bundle, texts: Sequence[str], seed: int, max_candidates: int = MAX_CANDIDATES
) -> list[tuple[float, str]]:
    """Return the most likely of the distinct texts with their log p(x) in nats, best first.

    With more than `max_candidates` texts, an estimate from few samples first selects the
    best of them.
    """
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return []
    if len(distinct) > max_candidates:
        ranked = _rank_once(bundle, distinct, FIRST_SAMPLES, seed)
        distinct = [text for _, text in ranked[:max_candidates]]
    return _rank_once(bundle, distinct, FINAL_SAMPLES, seed)


def log_likelihoods(bundle: Bundle, texts: Sequence[str], draws: int, seed: int) -> list[float]:
    """Return log p(x) of each text in nats: importance-weighted, or exact for a language model."""
    ids = tokenize_and_truncate(bundle, texts)
    dataset = Dataset.from_dict({"input_ids": ids, "length": [len(row) for row in ids]})
    result = [0.0] * len(texts)
    with torch.inference_mode():
        # No variable holds the generator: after an exception it would stay suspended within its
        # `no_grad`, and gradients would stay disabled.
        for indices, batch in iterate_batches(
            bundle, dataset, seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, None
        ):
            nll = ImportanceSums.from_log_weights(sample_log_weights(bundle, batch, draws)).nll
            for index, value in zip(indices, nll.tolist(), strict=True):
                result[index] = -value
    return result


def _rank_once(
    bundle: Bundle, texts: Sequence[str], draws: int, seed: int
) -> list[tuple[float, str]]:
    """Return the texts with their log p(x), best first; texts with equal scores are sorted."""
    scores = log_likelihoods(bundle, texts, draws, seed)
    pairs = zip(scores, texts, strict=True)
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1]))


def _rank_distinct(
    template: Template, candidates: Iterable[_InfillCandidate]
) -> list[_InfillCandidate]:
    """Return the distinct sentences in which each fill is a word or a part of one, best first."""
    best: dict[str, _InfillCandidate] = {}
    for candidate in sorted(candidates, key=lambda each: (-each.score, each.text)):
        if template.accepts(candidate.fills):
            best.setdefault(candidate.text, candidate)
    return list(best.values())
