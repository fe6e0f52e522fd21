"""Free bits: do not penalize the KL of a latent dimension below a floor.

With scope `dimension`, the KL of each dimension counts only above `floor` nats,
measured on the batch mean. Below the floor there is no pull towards the prior, so the
decoder can learn to use the latent first (Kingma et al. 2016, arXiv:1606.04934). With
scope `total` the same holds for the sum over dimensions. This is a true clamp: the loss
includes the floor. Some published code drops the term below the floor instead, which
has the same gradient but reports a different loss.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import Progress, Requirement, Technique, TechniqueSettings
from textvae.runtime.batch_mean import batch_mean


class FreeBitsSettings(TechniqueSettings):
    """The floor, and what it applies to."""

    kind: Literal["free_bits"] = "free_bits"
    floor: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="nats per dimension, or in total with scope = total; "
        "auto: the KL target, in equal shares or in total",
    )
    scope: Literal["dimension", "total"] = Field(
        "dimension", description="whether the floor is that of each dimension, or of their sum"
    )

    @property
    def requires(self) -> frozenset[Requirement]:
        """The KL of the ELBO, and with scope `dimension` that of each dimension."""
        if self.scope == "dimension":
            return frozenset({Requirement.ELBO_KL, Requirement.KL_PER_DIMENSION})
        return frozenset({Requirement.ELBO_KL})

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Set an automatic floor: the KL target, or an even share of it for each dimension."""
        if self.floor != "auto":
            return self
        dimensions = 1 if self.scope == "total" else latent
        return self.model_copy(update={"floor": round(kl_target / dimensions, 4)})


class FreeBits(Technique):
    """Clamp the KL from below."""

    Settings = FreeBitsSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return max(floor, KL), where the KL is the batch mean."""
        floor = float(self.settings.floor)  # `resolve_auto` has replaced "auto"
        mean = batch_mean(kl.detach())
        # The condition is on the batch mean, but the gradient is each sentence's own.
        if self.settings.scope == "dimension":
            return torch.where(mean > floor, kl, torch.full_like(kl, floor))
        return torch.where(mean.sum() > floor, kl, torch.full_like(kl, floor / kl.shape[1]))
