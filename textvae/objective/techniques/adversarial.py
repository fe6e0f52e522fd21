"""Adversarial autoencoder: a discriminator must not tell the sentences' z from draws of the prior.

In the place of the KL stands a game (Makhzani et al. 2016, arXiv:1511.05644;
for text Shen et al. 2020, arXiv:1905.12777): the discriminator D learns to tell
them apart, the encoder to deceive it by minimising -log D(z), `weight` times.
Where the papers take turns with two optimizers, both learn in one step here:
the discriminator from z without its gradient, unscaled; the encoder through a
discriminator that stands still. Plain gradient reversal (Ganin & Lempitsky
2015, arXiv:1409.7495) pushes the encoder hardest where it has won already, and
z runs away.

The posterior's variance can shrink until z is a point; `log_variance_penalty`
pulls log variances to 0 by their absolute value: LAAE (Rubenstein et al. 2018,
arXiv:1802.03761).
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import ModelFacts, Progress, Technique, TechniqueSettings


class AdversarialSettings(TechniqueSettings):
    """How hard the encoder is pressed, and how large the discriminator is."""

    kind: Literal["adversarial"] = "adversarial"
    weight: float = Field(1.0, ge=0, description="lambda, of the encoder's loss")
    hidden: int = Field(512, gt=0, description="units of the discriminator")
    log_variance_penalty: float = Field(
        0.0, ge=0, description="of |log variance|, summed over dimensions; LAAE"
    )

    @property
    def needs_logvar(self) -> bool:
        """Where it is penalised."""
        return self.log_variance_penalty > 0

    @property
    def replaced_terms(self) -> frozenset[str]:
        """It stands in the KL's place."""
        return frozenset({"kl"})

    @property
    def penalizes_kl(self) -> bool:
        """None of it."""
        return False

    @property
    def matches_prior(self) -> bool:
        """That is what it is for."""
        return self.weight > 0


class Adversarial(Technique):
    """Plays the discriminator against the encoder."""

    Settings = AdversarialSettings

    def __init__(self, settings: AdversarialSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.module: nn.Module = nn.Sequential(
            nn.Linear(facts.latent, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1)
        )

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: it is not paid."""
        return torch.zeros_like(kl)

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the discriminator's loss, the encoder's for not deceiving it, and the price of log variances."""
        latent, prior = output.latent, output.prior
        assert latent is not None
        assert prior is not None
        drawn = self.module(prior.sample(len(latent)).to(latent))
        told_apart = softplus(-drawn).mean() + softplus(self.module(latent.detach())).mean()
        still = {name: weights.detach() for name, weights in self.module.named_parameters()}
        deceived = softplus(-functional_call(self.module, still, (latent,))).mean()
        loss: Tensor = told_apart + self.settings.weight * deceived
        if self.settings.log_variance_penalty == 0:
            return loss
        assert output.logvar is not None
        price: Tensor = self.settings.log_variance_penalty * output.logvar.abs().sum(1).mean()
        return loss + price
