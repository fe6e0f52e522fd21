"""Bag of words: z alone must predict which words the sentence has, in any order.

A small network turns z into one distribution over words. The loss is the negative
log-likelihood of the sentence's words under it, times `weight` (Zhao et al. 2017,
arXiv:1703.10960). Special tokens, the end of the sentence and unknown words do not
count. All positions of a sentence share one distribution, so the memory is
(batch, vocab), whatever the length.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TechniqueSettings
from textvae.schema import Size


class BagOfWordsSettings(TechniqueSettings):
    """The weight of the loss, and the size of the network."""

    kind: Literal["bag_of_words"] = "bag_of_words"
    weight: float = Field(1.0, ge=0, description="weight of the words' NLL")
    hidden: Size = Field(
        256, description="units of the network between z and the words (400 in the paper)"
    )


class BagOfWords(Technique):
    """Add the NLL of the words given z, without their order."""

    Settings = BagOfWordsSettings

    def __init__(self, settings: BagOfWordsSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.module: nn.Module = nn.Sequential(
            nn.Linear(facts.latent, settings.hidden),
            nn.Tanh(),
            nn.Linear(settings.hidden, facts.vocab),
        )

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the weighted NLL of each sentence's words, averaged over sentences."""
        labels = batch["labels"]
        special_ids = torch.tensor(
            [self.facts.start_id, self.facts.end_id, self.facts.blank_id], device=labels.device
        )
        # Padding has the label -100, which `gather` would refuse: clamp it, then mask it.
        is_word = (labels >= 0) & ~torch.isin(labels, special_ids)
        log_probs = self.module(output.latent).float().log_softmax(-1)
        word_log_probs = log_probs.gather(1, labels.clamp(min=0)) * is_word
        nll: Tensor = -self.settings.weight * word_log_probs.sum(1).mean()
        return nll
