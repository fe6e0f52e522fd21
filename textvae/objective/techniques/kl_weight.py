"""KL weight schedules: pay for the latent only little by little.

`constant` is the beta-VAE (Higgins et al. 2017); `linear` and `logistic` anneal
from 0 to `weight` over the first `warmup` share of the run (Bowman et al. 2016,
arXiv:1511.06349); `cyclical` does so `cycles` times, each rising over `warmup`
of the cycle and staying for the rest (Fu et al. 2019, arXiv:1903.10145).
"""

import math
from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor

from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class KLWeightSettings(TechniqueSettings):
    """The weight's course."""

    kind: Literal["kl_weight"] = "kl_weight"
    schedule: Literal["constant", "linear", "logistic", "cyclical"] = "linear"
    weight: float = Field(1.0, ge=0, description="beta at the end")
    warmup: float = Field(
        0.3, gt=0, le=1, description="share of the run, or of each cycle, in which it rises"
    )
    cycles: int = Field(4, ge=1)

    @property
    def required_terms(self) -> frozenset[str]:
        """It shapes the KL."""
        return frozenset({"kl"})


def _cycle_fraction(cycles: int, fraction: float) -> float:
    """Return the share of the current cycle that is over; a whole number of cycles is the last one's end."""
    return 1 - -fraction * cycles % 1 if fraction else 0.0


SCHEDULES: dict[str, Callable[[KLWeightSettings, float], float]] = {
    "constant": lambda settings, fraction: 1.0,
    "linear": lambda settings, fraction: min(1.0, fraction / settings.warmup),
    "logistic": lambda settings, fraction: (
        1 / (1 + math.exp(-10 * (2 * fraction / settings.warmup - 1)))
    ),
    "cyclical": lambda settings, fraction: min(
        1.0, _cycle_fraction(settings.cycles, fraction) / settings.warmup
    ),
}


class KLWeight(Technique):
    """Multiplies the KL by a scheduled weight."""

    Settings = KLWeightSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the weighted KL."""
        weight: float = self.settings.weight * SCHEDULES[self.settings.schedule](
            self.settings, progress.fraction
        )
        return kl * weight
