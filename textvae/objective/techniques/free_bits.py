"""Free bits: let the latent carry a little for nothing.

With scope `dimension`, each dimension's KL, averaged over the batch, counts only
above `floor` nats; below it the dimension feels no pull towards the prior, so
the decoder can learn to use it first (Kingma et al. 2016, arXiv:1606.04934).
With scope `total` the same holds for the sum over dimensions. It is a true
clamp: the floor stays in the loss, unlike code that drops the term below it.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings
from textvae.runtime.batch_mean import batch_mean


class FreeBitsSettings(TechniqueSettings):
    """How much is free."""

    kind: Literal["free_bits"] = "free_bits"
    floor: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="nats: of each dimension, or of their sum with scope = total; auto: all of the KL target",
    )
    scope: Literal["dimension", "total"] = "dimension"

    @property
    def needs_kl_per_dimension(self) -> bool:
        """Unless the floor is on their sum."""
        return self.scope == "dimension"

    @property
    def required_terms(self) -> frozenset[str]:
        """It shapes the KL."""
        return frozenset({"kl"})

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Work out an automatic floor: an even share of the target, or with scope `total` the target."""
        if self.floor != "auto":
            return self
        return self.model_copy(
            update={"floor": round(kl_target / (1 if self.scope == "total" else latent), 4)}
        )


class FreeBits(Technique):
    """Clamps the KL from below."""

    Settings = FreeBitsSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return max(floor, KL), on the batch mean."""
        floor = float(self.settings.floor)  # the launcher has worked `auto` out
        mean = batch_mean(kl.detach())
        if self.settings.scope == "dimension":
            return torch.where(mean > floor, kl, torch.full_like(kl, floor))
        return torch.where(mean.sum() > floor, kl, torch.full_like(kl, floor / kl.shape[1]))
