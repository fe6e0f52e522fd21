"""Latent dropout: hide parts of z from the decoder, so that it does not rely on any one of them.

Scope `dimension` is dropout on z (Srivastava et al. 2014): each dimension becomes 0 with
probability `rate`, and the others are scaled up to keep the mean, so the information must
be spread over dimensions. Scope `whole` replaces all of a sentence's z by 0, the mean of
the prior, so the decoder stays a language model that works without z. The KL is still
that of the whole q(z | x). We know of no paper that measures this for text.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.objective.techniques.base import Progress, Requirement, Technique, TechniqueSettings


class LatentDropoutSettings(TechniqueSettings):
    """How much of z is hidden."""

    kind: Literal["latent_dropout"] = "latent_dropout"
    rate: float = Field(0.2, ge=0, lt=1, description="share of dimensions, or of sentences")
    scope: Literal["dimension", "whole"] = "dimension"

    # A z with zeros has no density and does not follow the prior. Its KL must be the closed
    # form: an estimate at the sample would use the z with zeros.
    requires: ClassVar[frozenset[Requirement]] = frozenset(
        {Requirement.ELBO_KL, Requirement.PLAIN_LATENT, Requirement.KL_PER_DIMENSION}
    )


class LatentDropout(Technique):
    """Set some dimensions of z, or all of them, to 0."""

    Settings = LatentDropoutSettings

    def shape_latent(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return z with some of it set to 0."""
        if self.settings.scope == "dimension":
            return nn.functional.dropout(latent, self.settings.rate)
        chance = torch.rand(len(latent), 1, device=latent.device)
        return latent.masked_fill(chance < self.settings.rate, 0.0)
