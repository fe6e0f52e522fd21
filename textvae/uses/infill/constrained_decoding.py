"""Generate sentences in which the visible tokens of a template are forced at their positions.

The constraint is a logits processor of transformers, so it works with sampling and with
beam search.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from textvae.data.tokenization import decode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import build_start_inputs
from textvae.runtime.seeds import Stream, seeded
from textvae.uses.infill.template import BlankToken, TemplateTokens
from textvae.uses.infill.word_tokens import find_word_tokens

# Which tokens are allowed at a position; the numbers are indices of `allowed_ids`.
_FORCED, _FIRST_AFTER_SPACE, _FIRST, _CONTINUING, _IN_WORD = range(5)

# transformers' processors of the options about words.
_PROCESSORS: dict[str, Callable[[Any], LogitsProcessor]] = {
    "repetition_penalty": RepetitionPenaltyLogitsProcessor,
    "no_repeat_ngram_size": NoRepeatNGramLogitsProcessor,
    "bad_words_ids": NoBadWordsLogitsProcessor,
}


class VisibleTokensProcessor(LogitsProcessor):
    """Force visible tokens at their positions, word tokens in blanks, and end tokens after them.

    Args:
        rows: the sentences to generate, one per latent; their lengths may differ.
        word_options: arguments of transformers' `generate` about words, which apply to the blanks
            alone: a visible token may be a bad word, or a repetition.
    """

    def __init__(
        self,
        bundle: Bundle,
        rows: Sequence[TemplateTokens],
        word_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.of_blanks = LogitsProcessorList(
            build(word_options[name])
            for name, build in _PROCESSORS.items()
            if word_options.get(name)
        )
        end_id = bundle.tokenizer.eos_token_id
        length = max(map(len, rows)) + 1
        # Positions within blanks have the end token, too, but it is never used there.
        forced_ids = torch.full((len(rows), length), end_id)
        kinds = torch.full((len(rows), length), _FORCED)
        for index, row in enumerate(rows):
            for position, token in enumerate(row):
                if isinstance(token, BlankToken):
                    kinds[index, position] = _find_kind(token)
                else:
                    forced_ids[index, position] = token
        words = find_word_tokens(bundle)
        no_tokens = torch.zeros_like(words.continuing)  # a forced token is allowed by its id
        masks = [
            no_tokens,
            words.after_space,
            words.without_space,
            words.continuing,
            words.in_word,
        ]
        self.forced_ids = forced_ids.to(bundle.device)
        self.kinds = kinds.to(bundle.device)
        self.allowed_ids = torch.stack(masks).to(bundle.device)

    @property
    def max_length(self) -> int:
        """How many tokens the longest sentence has, including the end token."""
        return self.forced_ids.shape[1]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores, (rows x beams, vocab), with -inf for tokens that are not allowed."""
        # input_ids begins with the start token, so its length is the next position plus 1.
        position = input_ids.shape[1] - 1
        beams = len(input_ids) // len(self.forced_ids)
        forced_ids = self.forced_ids[:, position].repeat_interleave(beams).unsqueeze(1)
        kinds = self.kinds[:, position].repeat_interleave(beams)
        all_ids = torch.arange(scores.shape[1], device=scores.device)
        is_forced = (kinds == _FORCED).unsqueeze(1) & (all_ids == forced_ids)
        in_blanks = self.of_blanks(input_ids, scores)
        scores = torch.where(is_forced, scores, in_blanks)
        return scores.masked_fill(~(is_forced | self.allowed_ids[kinds]), -torch.inf)


def drop_word_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of transformers' `generate` without those that `VisibleTokensProcessor` has."""
    return {name: value for name, value in options.items() if name not in _PROCESSORS}


def fill_blanks(
    bundle: Bundle, z: Tensor, rows: Sequence[TemplateTokens], seed: int, **options: Any
) -> list[list[int]]:
    """Return the tokens of each generated sentence, with the visible ones at their positions.

    With several returned beams per row, the beams of a row follow each other.

    Args:
        z: (rows, latent).
        options: arguments of transformers' `generate`; those about words apply to the blanks.
    """
    processor = VisibleTokensProcessor(bundle, rows, options)
    with seeded(seed, Stream.TOKENS, bundle.device), torch.inference_mode():
        sequences: Tensor = bundle.model.generate(
            **build_start_inputs(bundle, len(rows), None),
            latent=z.to(bundle.device, bundle.model.dtype),
            label_ids=bundle.fixed_label_ids(len(rows)),
            logits_processor=LogitsProcessorList([processor]),
            max_new_tokens=processor.max_length,
            **{"do_sample": False, **drop_word_options(options)},
        )
    per_row = len(sequences) // len(rows)
    # Without the start token, and without the end tokens after a shorter sentence.
    return [
        ids[1 : len(rows[index // per_row]) + 1] for index, ids in enumerate(sequences.tolist())
    ]


def decode_fills(bundle: Bundle, row: TemplateTokens, ids: Sequence[int]) -> list[str]:
    """Return the text generated for each blank of a row."""
    fill_ids: dict[int, list[int]] = {}
    for place, token in zip(row, ids, strict=True):
        if isinstance(place, BlankToken):
            fill_ids.setdefault(place.blank, []).append(token)
    # The space before a word is in the visible text, also if the model keeps white space.
    return [fill.strip() for fill in decode_batch(bundle.tokenizer, fill_ids.values())]


def _find_kind(token: BlankToken) -> int:
    """Return which tokens are allowed at the position of a blank's token."""
    if token.is_in_word:
        return _IN_WORD
    if not token.is_first:
        return _CONTINUING
    return _FIRST_AFTER_SPACE if token.follows_space else _FIRST
