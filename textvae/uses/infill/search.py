"""A beam search under each of several latents: every one has sentences of its own to offer.

Under one latent a beam's score is log p(x | z), which says little of a sentence
found under another: what they find is pooled, and ranked by log p(x) afterwards.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from textvae.bundle import Bundle
from textvae.uses.decoding import start_tokens
from textvae.uses.infill.keeping import KeepVisible, fills_of
from textvae.uses.infill.template import Template

SCORES = 2**25  # of tokens, in memory at once


@dataclass(frozen=True)
class Found:
    """A sentence that was found: log p(x | z) in nats but for what all begin with, and what its blanks hold."""

    score: float
    text: str
    fills: list[str]


def search(
    bundle: Bundle, template: Template, lengths: Sequence[tuple[int, ...]], z: Tensor, beams: int, kept: int
) -> dict[str, list[str]]:
    """Return the `kept` best sentences under each z of (latents, latent), over all lengths, with their fills."""
    at_once = max(1, SCORES // (len(lengths) * beams * bundle.model.config.vocab_size))
    best: dict[str, list[str]] = {}
    for some in z.split(at_once):
        for found in found_under(bundle, template, lengths, some, beams):
            best |= {each.text: each.fills for each in in_words(found)[:kept]}
    return best


@torch.inference_mode()
def found_under(
    bundle: Bundle, template: Template, lengths: Sequence[tuple[int, ...]], z: Tensor, beams: int
) -> Iterator[list[Found]]:
    """Yield what is found under each z: of every choice of lengths, `beams` sentences."""
    rows, prefix = [template.forced(choice) for choice in lengths] * len(z), template.tokens[0]
    keeping = KeepVisible(bundle, rows)
    written = bundle.model.generate(
        **start_tokens(bundle, len(rows), [prefix] * len(rows)),
        latent=z.to(bundle.device, bundle.model.dtype).repeat_interleave(len(lengths), 0),
        label_ids=bundle.label_ids(len(rows)),
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
    for at, (ids, score) in enumerate(zip(written.sequences.tolist(), written.sequences_scores.tolist(), strict=True)):
        row = rows[at // beams]
        fills = fills_of(bundle, row, ids[1 : len(row) + 1])
        found.append(Found(score, template.filled(fills), fills))
    each = len(lengths) * beams
    yield from (found[start : start + each] for start in range(0, len(found), each))


def in_words(found: Iterable[Found]) -> list[Found]:
    """Return the different sentences whose fills all have a letter or a digit, the best first."""
    different: dict[str, Found] = {}
    for each in sorted(found, key=lambda each: (-each.score, each.text)):
        if have_words(each.fills):
            different.setdefault(each.text, each)
    return list(different.values())


def have_words(fills: Iterable[str]) -> bool:
    """Tell whether each fill has a letter or a digit."""
    return all(any(map(str.isalnum, fill)) for fill in fills)
