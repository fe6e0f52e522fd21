"""Word dropout: hide some of the words that the decoder reads, so that it needs the latent.

Each input token except the start token is replaced by a blank with probability `rate`;
the words to predict stay (Bowman et al. 2016, arXiv:1511.06349).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from textvae.data.batching import Batch
from textvae.objective.techniques.base import CorruptedInput, Progress, Technique, TechniqueSettings


class WordDropoutSettings(TechniqueSettings):
    """How many words are hidden."""

    kind: Literal["word_dropout"] = "word_dropout"
    corrupts: ClassVar = frozenset({CorruptedInput.DECODER})
    rate: float = Field(0.2, ge=0, le=1, description="share of the decoder's input tokens")


class WordDropout(Technique):
    """Replace random decoder inputs by a blank token."""

    Settings = WordDropoutSettings

    def corrupt(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch with some `input_ids` blanked, never the start token or padding."""
        ids = batch["input_ids"]
        hidden = torch.rand(ids.shape, device=ids.device) < self.settings.rate
        hidden &= (ids != self.facts.start_id) & batch["attention_mask"].bool()
        return {**batch, "input_ids": ids.masked_fill(hidden, self.facts.blank_id)}
