"""Denoising: the encoder reads a damaged sentence, the decoder writes the whole one.

Sentences that differ by little then get z that lie near to each other. Each
word the encoder reads is deleted, or replaced by the blank, with probability
`rate` (Shen et al. 2020, arXiv:1905.12777; with `adversarial` it is their
DAAE). What the decoder reads and predicts is untouched.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class DenoisingSettings(TechniqueSettings):
    """How many words are damaged, and how."""

    kind: Literal["denoising"] = "denoising"
    rate: float = Field(0.3, ge=0, lt=1, description="share of the encoder's words")
    damage: Literal["deletion", "blank"] = "deletion"


class Denoising(Technique):
    """Deletes or blanks words before the encoder reads them."""

    Settings = DenoisingSettings

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch with other encoder inputs; special tokens and at least one word of a sentence stay."""
        ids, mask = batch["encoder_input_ids"], batch["encoder_attention_mask"]
        damaged = self.damaged(ids, mask.bool())
        if self.settings.damage == "blank":
            return {**batch, "encoder_input_ids": ids.masked_fill(damaged, self.facts.blank_id)}
        kept = mask.bool() & ~damaged
        order = torch.argsort(
            (~kept).int(), dim=1, stable=True
        )  # what is kept moves to the left, in its order
        is_real = kept.gather(1, order)
        shifted = ids.gather(1, order).masked_fill(~is_real, self.facts.pad_id)
        return {
            **batch,
            "encoder_input_ids": shifted,
            "encoder_attention_mask": is_real.to(mask.dtype),
        }

    def damaged(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return which places to damage, (batch, length)."""
        is_word = mask & (ids != self.facts.start_id) & (ids != self.facts.end_id)
        chance = torch.rand(ids.shape, device=ids.device).masked_fill(~is_word, -1.0)
        last_to_go = chance == chance.amax(1, keepdim=True)  # where all would go, one stays
        goes: Tensor = chance < self.settings.rate
        return is_word & goes & ~last_to_go
