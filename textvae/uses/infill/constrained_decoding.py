"""Generate sentences in which the visible tokens of a template are forced at their positions.

The constraint is a logits processor of transformers, so it works with sampling and with
beam search.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from textvae.data.tokenization import decode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import build_start_inputs
from textvae.runtime.seeds import Stream, seeded

_WORD_START_MARKS = ("Ġ", "▁")  # how tokenizers mark a token that begins a word
_BLANK_ID = -1

TemplateTokens = Sequence[int | None]  # the token ids of a sentence, None within a blank


class VisibleTokensProcessor(LogitsProcessor):
    """Force visible tokens at their positions, word tokens in blanks, and end tokens after them.

    Args:
        rows: the sentences to generate, one per latent; their lengths may differ.
    """

    def __init__(self, bundle: Bundle, rows: Sequence[TemplateTokens]) -> None:
        end_id = bundle.tokenizer.eos_token_id
        length = max(map(len, rows)) + 1
        padded = []
        for row in rows:
            ids = [_BLANK_ID if token is None else token for token in row]
            padded.append(ids + [end_id] * (length - len(row)))
        self.forced_ids = torch.tensor(padded, device=bundle.device)
        previous_ids = torch.nn.functional.pad(self.forced_ids, (1, 0))[:, :-1]
        self.is_first = (self.forced_ids == _BLANK_ID) & (previous_ids != _BLANK_ID)
        may_open_blank, may_continue_blank = _build_word_masks(bundle)
        self.may_open_blank = may_open_blank.to(bundle.device)
        self.may_continue_blank = may_continue_blank.to(bundle.device)

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
        is_first = self.is_first[:, position].repeat_interleave(beams).unsqueeze(1)
        is_word = torch.where(is_first, self.may_open_blank, self.may_continue_blank)
        all_ids = torch.arange(scores.shape[1], device=scores.device)
        is_allowed = torch.where(forced_ids == _BLANK_ID, is_word, all_ids == forced_ids)
        return scores.masked_fill(~is_allowed, -torch.inf)


def fill_blanks(
    bundle: Bundle, z: Tensor, rows: Sequence[TemplateTokens], seed: int, **options: Any
) -> list[list[int]]:
    """Return the tokens of each generated sentence, with the visible ones at their positions.

    With several returned beams per row, the beams of a row follow each other.

    Args:
        z: (rows, latent).
        options: arguments of transformers' `generate`.
    """
    processor = VisibleTokensProcessor(bundle, rows)
    with seeded(seed, Stream.TOKENS, bundle.device), torch.inference_mode():
        sequences: Tensor = bundle.model.generate(
            **build_start_inputs(bundle, len(rows), None),
            latent=z.to(bundle.device, bundle.model.dtype),
            label_ids=bundle.fixed_label_ids(len(rows)),
            logits_processor=LogitsProcessorList([processor]),
            max_new_tokens=processor.max_length,
            **{"do_sample": False, **options},
        )
    per_row = len(sequences) // len(rows)
    # Without the start token, and without the end tokens after a shorter sentence.
    return [
        ids[1 : len(rows[index // per_row]) + 1] for index, ids in enumerate(sequences.tolist())
    ]


def decode_fills(bundle: Bundle, row: TemplateTokens, ids: Sequence[int]) -> list[str]:
    """Return the text generated for each blank of a row."""
    runs = groupby(zip(row, ids, strict=True), key=lambda pair: pair[0] is None)
    fill_ids = []
    for is_blank, run in runs:
        if is_blank:
            fill_ids.append([token for _, token in run])
    return decode_batch(bundle.tokenizer, fill_ids)


def _build_word_masks(bundle: Bundle) -> tuple[Tensor, Tensor]:
    """Return which tokens may open a blank, and which may continue it, both (vocab,)."""
    tokenizer = bundle.tokenizer
    pieces = tokenizer.convert_ids_to_tokens(list(range(bundle.model.config.vocab_size)))
    special_pieces = set(tokenizer.all_special_tokens)
    # A model's vocabulary may be larger than its tokenizer's; the surplus ids have no piece.
    is_special = torch.tensor([piece is None or piece in special_pieces for piece in pieces])
    has_letters = torch.tensor([_has_letters(piece or "") for piece in pieces])
    begins_word = torch.tensor([_begins_word(piece or "") for piece in pieces])
    # A tokenizer without marks has whole words, characters or bytes as tokens. There, a
    # token with a letter or digit is enough to open a blank.
    uses_marks = bool(begins_word.any())
    may_open_blank = has_letters & ~is_special & (begins_word | (not uses_marks))
    return may_open_blank, ~is_special


def _has_letters(piece: str) -> bool:
    """Tell whether a token has a letter or a digit, word-start marks left out."""
    return any(sign.isalnum() for sign in piece.lstrip("".join(_WORD_START_MARKS)))


def _begins_word(piece: str) -> bool:
    """Tell whether a token is marked as the beginning of a word and is more than the mark."""
    return piece.startswith(_WORD_START_MARKS) and len(piece) > 1
