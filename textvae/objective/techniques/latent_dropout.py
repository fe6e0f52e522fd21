"""Latent dropout: hide parts of z from the decoder, so that it relies on none of them alone.

Scope `dimension` is dropout on z (Srivastava et al. 2014): each number becomes
0 with probability `rate`, the others grow to keep the mean, so that information
must be spread. Scope `whole` hides all of a sentence's z, as the mean of the
prior: the decoder stays a language model that can do without. The KL stays that
of the whole of q(z | x). We know of no paper that measures it for text.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class LatentDropoutSettings(TechniqueSettings):
    """How much of z is hidden."""

    kind: Literal["latent_dropout"] = "latent_dropout"
    rate: float = Field(0.2, ge=0, lt=1, description="share of dimensions, or of sentences")
    scope: Literal["dimension", "whole"] = "dimension"

    @property
    def required_terms(self) -> frozenset[str]:
        """A z with holes has no density, and does not spread as the prior."""
        return frozenset({"kl", "draw"})

    @property
    def needs_kl_per_dimension(self) -> bool:
        """Its closed form: an estimate at z would be taken at the z with holes."""
        return True


class LatentDropout(Technique):
    """Drops dimensions of z, or all of it."""

    Settings = LatentDropoutSettings

    def draw(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return z with some of it put to 0."""
        if self.settings.scope == "dimension":
            return nn.functional.dropout(latent, self.settings.rate)
        chance = torch.rand(len(latent), 1, device=latent.device)
        return latent.masked_fill(chance < self.settings.rate, 0.0)
