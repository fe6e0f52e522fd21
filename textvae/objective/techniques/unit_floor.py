"""Unit floor: every dimension of z tells the sentences apart by a little.

A free-bits floor can be filled with noise: a dimension whose variance is wrong
has a KL but tells nothing. Here the floor is on what a dimension can tell: with
means of variance V over the batch and a mean noise variance N, the information
a Gaussian channel carries is log(1 + V / N) / 2 nats (Shannon 1948). What is
missing to `floor` is paid for, `price` a nat. Related: BN-VAE, which fixes V
itself (Zhu et al. 2020, arXiv:2004.12585).
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings
from textvae.runtime.batch_mean import batch_mean

_AUTO_FLOOR_SHARE = 0.25  # of an even share of the KL target


class UnitFloorSettings(TechniqueSettings):
    """How much each dimension must tell."""

    kind: Literal["unit_floor"] = "unit_floor"
    floor: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="nats of each dimension; auto: a quarter of an even share of the KL target",
    )
    price: float = Field(5.0, gt=0, description="of a nat that is missing")

    @property
    def needs_logvar(self) -> bool:
        """It compares both."""
        return True

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Work out an automatic floor."""
        if self.floor != "auto":
            return self
        return self.model_copy(update={"floor": round(_AUTO_FLOOR_SHARE * kl_target / latent, 4)})


class UnitFloor(Technique):
    """Adds what each dimension's information lacks to the loss."""

    Settings = UnitFloorSettings

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the price of the missing information, summed over dimensions."""
        mean, logvar = output.mean, output.logvar
        assert mean is not None
        assert logvar is not None
        spread = (mean - batch_mean(mean)).square()
        between, within = batch_mean(torch.stack([spread, logvar.exp()], dim=1))
        told = 0.5 * torch.log1p(between / within)
        floor = float(self.settings.floor)  # the launcher has worked `auto` out
        missing: Tensor = self.settings.price * (floor - told).clamp(min=0).sum()
        return missing
