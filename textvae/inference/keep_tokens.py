"""Prefer the tokens of a given text while another one is written, such as an edit of it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor


class KeepTokensProcessor(LogitsProcessor):
    """Raise the scores of tokens that a row's text has, as often as it has them.

    A token that the text has twice is preferred until it has been written twice, so the
    preference does not make the model repeat itself.

    Args:
        texts: the token ids of each row's text, without special tokens.
        vocab_size: the number of scores.
        nats: what is added to the score of a token.
    """

    def __init__(self, texts: Sequence[Sequence[int]], vocab_size: int, nats: float) -> None:
        self.nats = nats
        self.counts = torch.zeros(len(texts), vocab_size)
        for counts, ids in zip(self.counts, texts, strict=True):
            counts += torch.bincount(torch.tensor(ids, dtype=torch.long), minlength=vocab_size)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores, (rows x beams, vocab), with the preference added."""
        beams = len(input_ids) // len(self.counts)
        left = self.counts.to(scores.device).repeat_interleave(beams, 0)
        written = input_ids[:, 1:]  # without the start token
        left = left.scatter_add(1, written, -torch.ones_like(written, dtype=left.dtype))
        return scores + self.nats * (left > 0)
