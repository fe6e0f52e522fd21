"""Adversarial autoencoder: a discriminator must not tell the sentences' z from draws of the prior.

In the place of the KL stands a game (Makhzani et al. 2016, arXiv:1511.05644;
for text Shen et al. 2020, arXiv:1905.12777): the discriminator learns to tell
them apart, the encoder to deceive it. Both learn in one step: the gradient that
reaches z is reversed and scaled by `weight` (Ganin & Lempitsky 2015,
arXiv:1409.7495), the discriminator's own is not. The papers take turns with two
optimizers, and the encoder maximises log D(z) where ours minimises
log(1 - D(z)): the equilibrium is the same, the pull weaker while it loses.

The posterior's variance can shrink until z is a point; `log_variance_penalty`
pulls log variances to 0 by their absolute value: LAAE (Rubenstein et al. 2018,
arXiv:1802.03761).
"""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.batching import Batch
from textvae.modeling import TextVAEOutput
from textvae.techniques.base import Facts, Progress, Technique, TechniqueSettings


class AdversarialSettings(TechniqueSettings):
    """How hard the encoder is pressed, and how large the discriminator is."""

    kind: Literal["adversarial"] = "adversarial"
    weight: float = Field(10.0, ge=0, description="lambda, of the gradient that reaches the encoder")
    hidden: int = Field(512, gt=0, description="units of the discriminator")
    log_variance_penalty: float = Field(0.0, ge=0, description="of |log variance|, summed over dimensions; LAAE")

    @property
    def owns(self) -> frozenset[str]:
        """It stands in the KL's place."""
        return frozenset({"kl"})

    @property
    def pays_kl(self) -> bool:
        """None of it."""
        return False


class Adversarial(Technique):
    """Plays the discriminator against the encoder."""

    Settings = AdversarialSettings

    def __init__(self, settings: AdversarialSettings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self.module: nn.Module = nn.Sequential(
            nn.Linear(facts.latent, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1)
        )

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: it is not paid."""
        return torch.zeros_like(kl)

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the discriminator's loss, reversed for the encoder, and the price of log variances."""
        latent, prior, logvar = output.latent, output.prior, output.logvar
        assert latent is not None
        assert prior is not None
        assert logvar is not None
        encoded: Tensor = Reversed.apply(latent, self.settings.weight)  # type: ignore[no-untyped-call]
        told_drawn = self.module(prior.sample(len(latent)).to(latent))
        told_encoded = self.module(encoded)
        game = nn.functional.softplus(-told_drawn).mean() + nn.functional.softplus(told_encoded).mean()
        price: Tensor = game + self.settings.log_variance_penalty * logvar.abs().sum(1).mean()
        return price


class Reversed(torch.autograd.Function):
    """The same values; the gradient comes back with its sign changed, times `scale`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: float) -> Tensor:
        """Return the values."""
        ctx.scale = scale
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return the gradient reversed."""
        return -ctx.scale * grads[0], None
