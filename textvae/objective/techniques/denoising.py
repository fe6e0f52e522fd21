"""Denoising: the encoder reads a damaged sentence, and the decoder reconstructs the original.

Similar sentences then get similar latents. Each word that the encoder reads is deleted,
or replaced by the blank token, with probability `rate` (Shen et al. 2020,
arXiv:1905.12777; together with `adversarial` it is their DAAE). What the decoder reads
and predicts is unchanged.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.objective.techniques.base import CorruptedInput, Progress, Technique, TechniqueSettings


class DenoisingSettings(TechniqueSettings):
    """How many words are damaged, and how."""

    kind: Literal["denoising"] = "denoising"
    corrupts: ClassVar = frozenset({CorruptedInput.ENCODER})
    rate: float = Field(0.3, ge=0, lt=1, description="share of the words that the encoder reads")
    damage: Literal["deletion", "blank"] = Field(
        "deletion", description="what happens to a damaged word"
    )


class Denoising(Technique):
    """Delete or blank words before the encoder reads them."""

    Settings = DenoisingSettings

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch with damaged encoder inputs.

        Special tokens stay, and at least one word of every sentence.
        """
        ids = batch["encoder_input_ids"]
        mask = batch["encoder_attention_mask"]
        damaged = self._choose_damaged(ids, mask.bool())
        tokens = self.facts.encoder_tokens
        if self.settings.damage == "blank":
            return {**batch, "encoder_input_ids": ids.masked_fill(damaged, tokens.blank_id)}
        remaining = mask.bool() & ~damaged
        # A stable sort moves the remaining tokens to the left in their order, padding to the right.
        order = torch.argsort((~remaining).int(), dim=1, stable=True)
        is_real = remaining.gather(1, order)
        shifted = ids.gather(1, order).masked_fill(~is_real, tokens.pad_id)
        return {
            **batch,
            "encoder_input_ids": shifted,
            "encoder_attention_mask": is_real.to(mask.dtype),
        }

    def _choose_damaged(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return which tokens to damage, (batch, length)."""
        frame_ids = torch.tensor(self.facts.encoder_tokens.frame_ids, device=ids.device)
        is_word = mask & ~torch.isin(ids, frame_ids)
        chance = torch.rand(ids.shape, device=ids.device).masked_fill(~is_word, -1.0)
        # The word with the largest number always stays, so no sentence becomes empty.
        is_safe = chance == chance.amax(1, keepdim=True)
        is_hit: Tensor = chance < self.settings.rate
        return is_word & is_hit & ~is_safe
