"""Latent dropout: hide parts of z from the decoder, so that it does not rely on any one of them.

Scope `dimension` is dropout on z (Srivastava et al. 2014): each dimension becomes the mean
of the prior with probability `rate`, and the others are moved away from it to keep the
expectation, so the information must be spread over dimensions. Scope `whole` replaces all
of a sentence's z by the mean of the prior, so the decoder stays a language model that works
without z. This mean is 0, except with the prior `label_gaussian`: there it is that of the
sentence's label. The KL is still that of the whole q(z | x). We know of no paper that
measures this for text.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.model.priors import Prior
from textvae.objective.techniques.base import Progress, Requirement, Technique, TechniqueSettings


class LatentDropoutSettings(TechniqueSettings):
    """How much of z is hidden."""

    kind: Literal["latent_dropout"] = "latent_dropout"
    rate: float = Field(0.2, ge=0, lt=1, description="share of dimensions, or of sentences")
    scope: Literal["dimension", "whole"] = Field(
        "dimension", description="whether single dimensions of z are hidden, or all at once"
    )

    # A z with hidden parts has no density and does not follow the prior. Its KL must be the closed
    # form: an estimate at the sample would use the z with hidden parts.
    requires: ClassVar[frozenset[Requirement]] = frozenset(
        {Requirement.ELBO_KL, Requirement.PLAIN_LATENT, Requirement.KL_PER_DIMENSION}
    )


class LatentDropout(Technique):
    """Set some dimensions of z, or all of them, to the mean of the prior."""

    Settings = LatentDropoutSettings

    def shape_latent(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return z with some of it set to the mean of the prior, given the labels of the batch."""
        # The mean counts as a constant. A gradient through it would pull a learned prior to where
        # the decoder predicts best without z, and not to where the posteriors are.
        prior: Prior = model.prior.conditional_on(batch.get("label_ids"))
        center = prior.center().detach().to(latent)
        offset = latent - center
        if self.settings.scope == "dimension":
            return center + nn.functional.dropout(offset, self.settings.rate)
        chance = torch.rand(len(latent), 1, device=latent.device)
        return center + offset.masked_fill(chance < self.settings.rate, 0.0)
