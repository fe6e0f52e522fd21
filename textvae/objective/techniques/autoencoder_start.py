"""A start as an autoencoder: learn to encode first, then begin anew with a fresh decoder and that encoder.

For the first `share` of the run the KL is not paid, so z learns to carry the
sentence. Then the decoder and what reaches it of z get fresh weights, and the
run proper begins: warm-up, schedules and the other techniques count from there
(Li et al. 2019, arXiv:1909.00868, who follow with free bits and annealing).
"""

from typing import Literal

from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TechniqueSettings


class AutoencoderStartSettings(TechniqueSettings):
    """How long the autoencoder is trained."""

    kind: Literal["autoencoder_start"] = "autoencoder_start"
    share: float = Field(
        0.25, gt=0, le=0.75, description="of the run; 0.25 of an open-ended one is 10 epochs"
    )

    @property
    def required_terms(self) -> frozenset[str]:
        """It leaves the KL unpaid for a while."""
        return frozenset({"kl"})


class AutoencoderStart(Technique):
    """Pays for no KL before the run proper."""

    Settings = AutoencoderStartSettings

    def __init__(self, settings: AutoencoderStartSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.pretraining_share = settings.share

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return nothing to pay during the prelude, and the KL after it."""
        return (
            kl * 0.0 if progress.is_pretraining else kl
        )  # by a product: a learned prior's weights stay in the graph
