"""KL weight schedules: anneal the weight of the KL term.

`constant` is the beta-VAE (Higgins et al. 2017). `linear` and `logistic` anneal from 0
to `weight` over the first `warmup` share of the run (Bowman et al. 2016,
arXiv:1511.06349). `cyclical` does so `cycles` times: in each cycle the weight rises for
the `warmup` share and stays for the rest (Fu et al. 2019, arXiv:1903.10145).
"""

import math
from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import (
    ObjectiveTerm,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)


class KLWeightSettings(TechniqueSettings):
    """The schedule of the weight."""

    kind: Literal["kl_weight"] = "kl_weight"
    schedule: Literal["constant", "linear", "logistic", "cyclical"] = Field(
        "linear", description="how the weight of the KL grows during training"
    )
    weight: float = Field(1.0, ge=0, description="beta, the weight at the end")
    warmup: float = Field(
        0.3, gt=0, le=1, description="share of the run, or of each cycle, in which it rises"
    )
    cycles: int = Field(4, ge=1, description="schedule = cyclical: number of cycles")

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.ELBO_KL})
    weights_kl: ClassVar[bool] = True

    @property
    def replaces(self) -> frozenset[ObjectiveTerm]:
        """Any cost of information if the KL ends with no weight."""
        return frozenset() if self.weight else frozenset({ObjectiveTerm.INFORMATION_COST})


class KLWeight(Technique):
    """Multiply the KL by a scheduled weight."""

    Settings = KLWeightSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the weighted KL."""
        schedule = SCHEDULES[self.settings.schedule]
        weight: float = self.settings.weight * schedule(self.settings, progress.fraction)
        return kl * weight


def _constant(settings: KLWeightSettings, fraction: float) -> float:
    """Return 1."""
    return 1.0


def _linear(settings: KLWeightSettings, fraction: float) -> float:
    """Return a line from 0 to 1 over the warm-up."""
    return min(1.0, fraction / settings.warmup)


def _logistic(settings: KLWeightSettings, fraction: float) -> float:
    """Return a sigmoid from almost 0 to almost 1 that is centered in the warm-up."""
    return 1 / (1 + math.exp(-10 * (2 * fraction / settings.warmup - 1)))


def _cyclical(settings: KLWeightSettings, fraction: float) -> float:
    """Return a line from 0 to 1 over the warm-up of each cycle, and 1 for its rest."""
    if fraction == 0:
        return 0.0
    # At the end of a cycle the fraction must be 1. The usual `x % 1` would give 0 there.
    cycle_fraction = 1 - -fraction * settings.cycles % 1
    return min(1.0, cycle_fraction / settings.warmup)


# From the settings and the share of the run that is over, to a factor between 0 and 1.
SCHEDULES: dict[str, Callable[[KLWeightSettings, float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "logistic": _logistic,
    "cyclical": _cyclical,
}
