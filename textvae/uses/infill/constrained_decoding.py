"""Writing into blanks: every visible token is forced at its place, through transformers' logits processors."""

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


TemplateTokens = Sequence[int | None]  # the tokens of a sentence, None where one is to be written


class VisibleTokensProcessor(LogitsProcessor):
    """Allows at each place the token that stands there; in a blank, words; after the end, the end.

    Args:
        rows: the sentences to be written, as many as there are latents; of any lengths.
    """

    def __init__(self, bundle: Bundle, rows: Sequence[TemplateTokens]) -> None:
        end = bundle.tokenizer.eos_token_id
        width = max(map(len, rows)) + 1
        whole = [[_BLANK_ID if token is None else token for token in row] for row in rows]
        self.forced = torch.tensor(
            [row + [end] * (width - len(row)) for row in whole], device=bundle.device
        )
        before = torch.nn.functional.pad(self.forced, (1, 0))[:, :-1]
        self.is_first = (self.forced == _BLANK_ID) & (before != _BLANK_ID)
        self.opening, self.inner = (mask.to(bundle.device) for mask in _build_word_masks(bundle))

    @property
    def width(self) -> int:
        """How many tokens are written, the end included."""
        return self.forced.shape[1]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores, (rows x beams, vocab), with what is not allowed at minus infinity."""
        place, beams = input_ids.shape[1] - 1, len(input_ids) // len(self.forced)
        forced = self.forced[:, place].repeat_interleave(beams).unsqueeze(1)
        is_first = self.is_first[:, place].repeat_interleave(beams).unsqueeze(1)
        words = torch.where(is_first, self.opening, self.inner)
        every = torch.arange(scores.shape[1], device=scores.device)
        return scores.masked_fill(
            ~torch.where(forced == _BLANK_ID, words, every == forced), -torch.inf
        )


def _build_word_masks(bundle: Bundle) -> tuple[Tensor, Tensor]:
    """Return which tokens may begin a blank, and which may follow in it, both (vocab,)."""
    tokenizer = bundle.tokenizer
    pieces = tokenizer.convert_ids_to_tokens(list(range(bundle.model.config.vocab_size)))
    special = torch.tensor(
        [piece is None or piece in tokenizer.all_special_tokens for piece in pieces]
    )
    has_letters = torch.tensor(
        [
            any(sign.isalnum() for sign in (piece or "").lstrip("".join(_WORD_START_MARKS)))
            for piece in pieces
        ]
    )
    begins = torch.tensor(
        [(piece or "").startswith(_WORD_START_MARKS) and len(piece) > 1 for piece in pieces]
    )
    is_marked = bool(
        begins.any()
    )  # else every token is a word, or none is: then letters are enough
    return has_letters & ~special & (begins | (not is_marked)), ~special


def fill_blanks(
    bundle: Bundle, z: Tensor, rows: Sequence[TemplateTokens], seed: int, **options: Any
) -> list[list[int]]:
    """Return the tokens of each sentence written, the visible ones in their places; with beams, of each beam.

    Args:
        z: (rows, latent).
        options: of transformers' `generate`.
    """
    keeping = VisibleTokensProcessor(bundle, rows)
    with seeded(seed, Stream.TOKENS, bundle.device), torch.inference_mode():
        written: Tensor = bundle.model.generate(
            **build_start_inputs(bundle, len(rows), None),
            latent=z.to(bundle.device, bundle.model.dtype),
            label_ids=bundle.fixed_label_ids(len(rows)),
            logits_processor=LogitsProcessorList([keeping]),
            max_new_tokens=keeping.width,
            **{"do_sample": False, **options},
        )
    each = len(written) // len(rows)
    return [ids[1 : len(rows[at // each]) + 1] for at, ids in enumerate(written.tolist())]


def decode_fills(bundle: Bundle, row: TemplateTokens, ids: Sequence[int]) -> list[str]:
    """Return what was written into each blank of a row."""
    runs = groupby(zip(row, ids, strict=True), key=lambda pair: pair[0] is None)
    return decode_batch(
        bundle.tokenizer, [[token for _, token in run] for is_blank, run in runs if is_blank]
    )
