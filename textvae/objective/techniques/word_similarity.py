"""Word similarity: sentences that share rare words should have similar encoder states.

The states of the encoder, pooled and centered on the batch, are compared by their cosine,
and so are the TF-IDF vectors of the sentences' tokens (Salton & Buckley 1988). The
penalty is `weight` times the mean squared difference of the two cosines over all pairs
of different sentences of the batch, which is similarity-preserving distillation (Tung &
Mori 2019, arXiv:1907.09682) with TF-IDF as the teacher.

Only the similarities of pairs are compared, so no weights are needed. The numbers of
sentences that contain each token, from which the IDF follows, are counted as training
goes on. Several processes each compare the sentences of their own share of the batch.

A linear map from the posterior mean to TF-IDF would not do: with as many dimensions as the
default latent has, the best approximation of TF-IDF retrieves worse than the latent
itself (docs/uses/neighbors.md). The pooled states are thirty times as wide.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TechniqueSettings


class WordSimilaritySettings(TechniqueSettings):
    """The weight of the penalty."""

    kind: Literal["word_similarity"] = "word_similarity"
    weight: float = Field(
        300.0, ge=0, description="nats per unit of the mean squared difference of two cosines"
    )


class WordSimilarity(Technique):
    """Add the difference between the similarities of states and of words."""

    Settings = WordSimilaritySettings

    def __init__(self, settings: WordSimilaritySettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.documents = _DocumentCounts(facts.vocab)
        self.module = self.documents

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the weighted mean squared difference over pairs; 0 for a single sentence."""
        pooled = output.pooled
        assert pooled is not None  # only a language model has no encoder
        count = len(pooled)
        if count < 2:
            return 0 * pooled.sum()  # a product, so that gradients can flow
        counts = self.count_tokens(batch["labels"])
        self.documents.add(counts)
        of_words = cosines(torch.log1p(counts) * self.documents.inverse_frequencies())
        of_states = cosines(pooled - pooled.mean(0))
        squared = (of_states - of_words).square()
        # Each sentence is perfectly similar to itself on both sides.
        between = squared.sum() - squared.diagonal().sum()
        return between * (float(self.settings.weight) / (count * (count - 1)))

    def count_tokens(self, labels: Tensor) -> Tensor:
        """Return how often each sentence has each token, special tokens apart, (batch, vocab)."""
        special_ids = torch.tensor(
            [self.facts.start_id, self.facts.end_id, self.facts.blank_id], device=labels.device
        )
        is_word = (labels >= 0) & ~torch.isin(labels, special_ids)
        counts = torch.zeros(len(labels), self.facts.vocab, device=labels.device)
        # Padding has the label -100, which is no index: it adds a zero to another token.
        return counts.scatter_add_(1, labels.clamp(min=0), is_word.float())


class _DocumentCounts(nn.Module):
    """In how many sentences each token was, in buffers, so that checkpoints have them."""

    sentences: Tensor
    by_token: Tensor

    def __init__(self, vocab: int) -> None:
        super().__init__()
        # One imagined sentence with every token keeps the frequencies of new tokens finite.
        self.register_buffer("sentences", torch.ones(()))
        self.register_buffer("by_token", torch.ones(vocab))

    @torch.no_grad()
    def add(self, counts: Tensor) -> None:
        """Count the sentences of a batch, whose tokens are (batch, vocab)."""
        self.sentences += len(counts)
        self.by_token += (counts > 0).sum(0)

    def inverse_frequencies(self) -> Tensor:
        """Return log(sentences / sentences with the token), (vocab,)."""
        return torch.log(self.sentences / self.by_token)


def cosines(rows: Tensor) -> Tensor:
    """Return the cosine of each pair of rows, (n, n)."""
    unit = nn.functional.normalize(rows.float(), dim=1)
    return unit @ unit.T
