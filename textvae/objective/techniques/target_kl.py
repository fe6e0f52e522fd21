"""Target KL: adapt the weight of the KL so that the rate stays where it should be.

We want the best reconstruction at a given rate: minimize the distortion subject to
KL = target. The weight is the Lagrange multiplier of that constraint (as in Pelsmaeker &
Aziz 2020, arXiv:1904.08194). An integral controller on log(weight) finds it during
training: too much KL raises the weight, too little lowers it (as in ControlVAE, Shao et
al. 2020, arXiv:2004.05988, but multiplicative, so that it needs no scale). While the
latent carries nothing, the weight falls towards its minimum, so the model cannot
collapse.

A weight below 1 fits the posterior to another objective than the ELBO, and makes it too
narrow. So at the end of the run the variances alone are refitted at weight 1, while the
decoder and the means stay as they are. This tightens the bound, lowers the KL below its
target, and changes nothing that is decoded from a mean.

The warm-up multiplies the weight by a factor that rises from 0. It does not hold the
weight down: the controller makes up for it, and only the first steps differ, in which
the KL overshoots (docs/recipe.md has the numbers).
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from textvae.errors import ConfigError
from textvae.objective.techniques.base import (
    ModelFacts,
    Progress,
    Refit,
    Requirement,
    Technique,
    TechniqueSettings,
)
from textvae.runtime.batch_mean import batch_mean

# The learning rate with which the refit of the variances begins, as a share of the full one.
_REFIT_RATE = 1.0


class TargetKLSettings(TechniqueSettings):
    """The rate to hold, and how fast the weight adapts."""

    kind: Literal["target_kl"] = "target_kl"
    nats: Annotated[float, Field(gt=0)] | Literal["auto", "whole"] = Field(
        "auto",
        description="KL per sentence before the refit at the end, which lowers it; "
        "auto: from the corpus (see `textvae docs recipe`); whole: enough for every word, 5 nats per token",
    )
    gain: float = Field(0.02, gt=0, description="largest change of log weight per batch")
    width: float = Field(0.25, gt=0, description="relative error that causes the largest change")
    warmup: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of the run in which a further factor rises from 0 to 1; the controller "
        "makes up for it within some hundred steps, so it only changes the start",
    )
    least: float = Field(0.02, gt=0, description="smallest weight")
    most: float = Field(4.0, gt=0, description="largest weight")
    refit: float = Field(
        0.03,
        ge=0,
        lt=0.25,
        description="share of the run, at its end, in which the variances of the posterior are "
        "refitted at a KL weight of 1; 0: none",
    )

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.ELBO_KL})
    weights_kl: ClassVar[bool] = True

    @model_validator(mode="after")
    def check_bounds(self) -> Self:
        """Refuse bounds between which no weight is.

        Raises:
            ConfigError: the smallest weight is above the largest.
        """
        if self.least > self.most:
            raise ConfigError(
                f"target_kl.least = {self.least:g} is above most = {self.most:g}: give a smallest "
                "weight that is not larger than the largest."
            )
        return self

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Use the corpus's KL target in place of `auto` or `whole`."""
        if self.nats not in ("auto", "whole"):
            return self
        return self.model_copy(update={"nats": round(kl_target, 2)})


class TargetKL(Technique):
    """Adapt the KL weight so that the KL stays at its target."""

    Settings = TargetKLSettings

    def __init__(self, settings: TargetKLSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        assert not isinstance(settings.nats, str), "`resolve_auto` replaces it first"
        self.target = float(settings.nats)
        # A tensor that stays on the KL's device: reading a number from it would stop a GPU in
        # every step. In double precision, so that small changes are not rounded away.
        self.log_weight = torch.zeros((), dtype=torch.float64)
        if settings.refit:
            self.refit = Refit(settings.refit, _REFIT_RATE, moves_means=False)

    @property
    def kl_target(self) -> float:
        """The KL in nats that the weight steers to."""
        return self.target

    def observe_kl(self, kl: Tensor, progress: Progress) -> None:
        """Adapt the weight to the error of this batch's KL."""
        error = batch_mean(kl.sum(1)).double() / self.target - 1
        push = (error / self.settings.width).clamp(-1, 1)
        log_weight = self.log_weight.to(kl.device) + self.settings.gain * push
        # Without bounds the weight would drift far away while the KL cannot follow.
        self.log_weight = log_weight.clamp(
            math.log(self.settings.least), math.log(self.settings.most)
        )

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL times its weight."""
        rise = 1.0
        if self.settings.warmup:
            rise = min(1.0, progress.fraction / self.settings.warmup)
        return kl * (rise * self.log_weight.exp())

    def state_dict(self) -> dict[str, Any]:
        """Return the controller's state."""
        return {"log_weight": float(self.log_weight)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.log_weight = torch.tensor(state["log_weight"], dtype=torch.float64)
