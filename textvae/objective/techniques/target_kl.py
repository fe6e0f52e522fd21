"""A target for the KL: the weight is whatever keeps the rate where it should be.

We want the best reconstruction at a given rate: minimise the distortion subject
to KL = target. The weight is the multiplier of that constraint, found while
training by an integral controller on log(weight): too much KL raises it, too
little lowers it (the multiplier as in Pelsmaeker & Aziz 2020, arXiv:1904.08194;
a controller as in ControlVAE, Shao et al. 2020, arXiv:2004.05988, but
multiplicative, so that it needs no scale). While the latent carries nothing the
weight falls towards its least: it cannot collapse.
"""

import math
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TechniqueSettings
from textvae.runtime.batch_mean import batch_mean


class TargetKLSettings(TechniqueSettings):
    """The rate to keep, and how hard the weight is steered."""

    kind: Literal["target_kl"] = "target_kl"
    nats: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="KL per sentence; auto: from the corpus (see docs/recipe.md)"
    )
    gain: float = Field(0.02, gt=0, description="most change of log weight with a batch")
    width: float = Field(0.25, gt=0, description="relative error from which the change is the most")
    warmup: float = Field(
        0.2, ge=0, le=1, description="share of the run in which the price rises from zero"
    )
    least: float = Field(0.02, gt=0, description="smallest weight")
    most: float = Field(4.0, gt=0, description="largest weight")

    @property
    def required_terms(self) -> frozenset[str]:
        """It shapes the KL."""
        return frozenset({"kl"})

    def resolve_auto(self, kl_target: float, latent: int) -> Self:
        """Take the corpus's target where none was given."""
        return (
            self.model_copy(update={"nats": round(kl_target, 2)}) if self.nats == "auto" else self
        )


class TargetKL(Technique):
    """Steers the KL weight so that the KL stays at its target."""

    Settings = TargetKLSettings

    def __init__(self, settings: TargetKLSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        assert settings.nats != "auto", "the launcher works the target out first"
        self.target = float(settings.nats)
        self.log_weight = torch.zeros(
            (), dtype=torch.float64
        )  # stays on the device: no step waits for it

    @property
    def kl_target(self) -> float:
        """The KL in nats."""
        return self.target

    def observe_kl(self, kl: Tensor, progress: Progress) -> None:
        """Move the weight by this batch's error."""
        error = batch_mean(kl.sum(1)).double() / self.target - 1
        push = (error / self.settings.width).clamp(-1, 1)
        moved = self.log_weight.to(kl.device) + self.settings.gain * push
        self.log_weight = moved.clamp(math.log(self.settings.least), math.log(self.settings.most))

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the KL times its weight."""
        rise = min(1.0, progress.fraction / self.settings.warmup) if self.settings.warmup else 1.0
        return kl * (rise * self.log_weight.exp())

    def state_dict(self) -> dict[str, Any]:
        """Return the controller's state."""
        return {"log_weight": float(self.log_weight)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over."""
        self.log_weight = torch.tensor(state["log_weight"], dtype=torch.float64)
