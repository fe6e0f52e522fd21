"""Unit floor: every dimension of z should carry some information about the sentence.

Noise can fill a free-bits floor: a dimension whose variance differs from the prior's has
a KL but carries no information. Here the floor is on the information itself. If the
means have variance V over the batch and the noise has mean variance N, a Gaussian
channel carries log(1 + V / N) / 2 nats (Shannon 1948). Each nat below `floor` costs
`price`. If the prior depends on a label, V is the variance about the mean of the label's
prior: what the label says anyway does not count. Related: BN-VAE, which fixes V itself
(Zhu et al. 2020, arXiv:2004.12585).
"""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import Progress, Requirement, Technique, TechniqueSettings
from textvae.runtime.batch_mean import batch_mean

_AUTO_FLOOR_SHARE = 0.25  # of an even share of the KL target


class UnitFloorSettings(TechniqueSettings):
    """The information that each dimension must carry, and its price."""

    kind: Literal["unit_floor"] = "unit_floor"
    floor: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="nats per dimension; auto: a quarter of an even share of the KL target",
    )
    price: float = Field(5.0, gt=0, description="loss per missing nat")

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.LOGVAR})

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Set an automatic floor: a quarter of an even share of the KL target."""
        if self.floor != "auto":
            return self
        return self.model_copy(update={"floor": round(_AUTO_FLOOR_SHARE * kl_target / latent, 4)})


class UnitFloor(Technique):
    """Add the price of the information that each dimension lacks."""

    Settings = UnitFloorSettings

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the price of the missing information, summed over dimensions."""
        mean = output.mean
        logvar = output.logvar
        assert mean is not None
        assert logvar is not None
        if output.prior is not None and output.prior.depends_on_label:
            # As a constant: the prior must not move away from the posteriors to meet the floor.
            mean = mean - output.prior.center().detach().to(mean)
        spread = (mean - batch_mean(mean)).square()
        # One call for both means: with several processes, each call communicates.
        between, within = batch_mean(torch.stack([spread, logvar.exp()], dim=1))
        information = 0.5 * torch.log1p(between / within)  # (latent,), in nats
        floor = float(self.settings.floor)  # `resolve_auto` has replaced "auto"
        missing: Tensor = self.settings.price * (floor - information).clamp(min=0).sum()
        return missing
