"""Refit of the posterior: train the encoder at KL weight 1 at the end of the run.

A KL weight below 1, which `target_kl` needs to hold the KL at its target, fits q(z | x)
to another objective than the ELBO: q becomes sharper than the true posterior of the
decoder, and the bound is loose. So in the last `share` of the run the decoder stays as it
is, and the encoder and the posterior maximize the ELBO itself, without any other
technique. `target_kl` refits the variances by itself; this technique moves the means, too.
This is inference for a fixed model, as in two-stage training (He et al. 2019,
arXiv:1901.05534, train the encoder alone in the same way, but before each step). The KL
falls below its target, which then is the KL of the main phase.

A learned prior is trained with the posterior, because it has to follow the latents.
"""

from typing import ClassVar, Literal

from pydantic import Field

from textvae.objective.techniques.base import (
    ModelFacts,
    Refit,
    Requirement,
    Technique,
    TechniqueSettings,
)


class RefitPosteriorSettings(TechniqueSettings):
    """How long the posterior is refitted, and how fast."""

    kind: Literal["refit_posterior"] = "refit_posterior"
    share: float = Field(
        0.1,
        gt=0,
        lt=0.25,
        description="share of the run, at its end; it follows the cool-down of an open-ended run",
    )
    rate: float = Field(
        0.2,
        gt=0,
        le=1,
        description="learning rate at its beginning, as a share of the full one; then a cosine",
    )

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.ELBO_KL})


class RefitPosterior(Technique):
    """Fit the posterior to the finished decoder."""

    Settings = RefitPosteriorSettings

    def __init__(self, settings: RefitPosteriorSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.refit = Refit(settings.share, settings.rate, moves_means=True)
