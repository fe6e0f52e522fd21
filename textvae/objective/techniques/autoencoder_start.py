"""Autoencoder start: train as an autoencoder first, then keep only the encoder.

For the first `share` of the run the KL is free, so z learns to carry the sentence.
Then the decoder and its conditioning on z get fresh weights, and the actual run begins:
warm-up, schedules and the other techniques count from there (Li et al. 2019,
arXiv:1909.00868, who continue with free bits and annealing). Of a pretrained decoder,
only adapters and conditioning start again: the weights of its base stay.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import (
    ModelFacts,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)


class AutoencoderStartSettings(TechniqueSettings):
    """How long the autoencoder is trained."""

    kind: Literal["autoencoder_start"] = "autoencoder_start"
    share: float = Field(
        0.25,
        gt=0,
        le=0.75,
        description="share of the run; an open-ended run counts as 40 epochs, so 0.25 means 10",
    )

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.ELBO_KL})


class AutoencoderStart(Technique):
    """Remove the KL from the loss until the actual run begins."""

    Settings = AutoencoderStartSettings

    def __init__(self, settings: AutoencoderStartSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.pretraining_share = settings.share

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros during pretraining, and the KL after it."""
        if not progress.is_pretraining:
            return kl
        # Not `zeros_like`: the product keeps the weights of a learned prior in the graph, as DDP
        # requires of every weight.
        return kl * 0.0
