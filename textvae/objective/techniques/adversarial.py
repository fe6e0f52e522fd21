"""Adversarial autoencoder: the encoder learns to fool a discriminator between q(z) and p(z).

The KL is replaced by a game (Makhzani et al. 2016, arXiv:1511.05644; for text, Shen et
al. 2020, arXiv:1905.12777). The discriminator D learns to tell the latents of sentences
from samples of the prior, and the encoder minimizes -log D(z), times `weight`. The
papers alternate between two optimizers; here both learn in one step: the discriminator
from a detached z and without the weight, the encoder through frozen discriminator
weights. Plain gradient reversal (Ganin & Lempitsky 2015, arXiv:1409.7495) would push
the encoder hardest where it has already won, and z would diverge.

The variance of the posterior can shrink until z is deterministic.
`log_variance_penalty` pulls log-variances to 0 by their absolute value: LAAE
(Rubenstein et al. 2018, arXiv:1802.03761).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import (
    ModelFacts,
    ObjectiveTerm,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)
from textvae.schema import Size


class AdversarialSettings(TechniqueSettings):
    """The weight of the encoder's loss, and the size of the discriminator."""

    kind: Literal["adversarial"] = "adversarial"
    weight: float = Field(1.0, ge=0, description="lambda, the weight of the encoder's loss")
    hidden: Size = Field(512, description="hidden units of the discriminator")
    log_variance_penalty: float = Field(
        0.0, ge=0, description="weight of |log-variance|, summed over dimensions; LAAE"
    )

    replaces: ClassVar[frozenset[ObjectiveTerm]] = frozenset(
        {ObjectiveTerm.KL, ObjectiveTerm.INFORMATION_COST}
    )

    @property
    def requires(self) -> frozenset[Requirement]:
        """A log-variance, if it is penalized."""
        return frozenset({Requirement.LOGVAR} if self.log_variance_penalty > 0 else ())

    @property
    def matches_prior(self) -> bool:
        """True unless the encoder's loss is switched off."""
        return self.weight > 0


class Adversarial(Technique):
    """Train a discriminator to tell q(z) from p(z), and the encoder to fool it."""

    Settings = AdversarialSettings

    def __init__(self, settings: AdversarialSettings, facts: ModelFacts) -> None:
        super().__init__(settings, facts)
        self.module: nn.Module = nn.Sequential(
            nn.Linear(facts.latent, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1)
        )

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: the game replaces the KL."""
        return torch.zeros_like(kl)

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the losses of discriminator and encoder, and the log-variance penalty."""
        latent = output.latent
        prior = output.prior
        assert latent is not None
        assert prior is not None
        # softplus(-s) = -log sigmoid(s), where the score s is the logit of "from the prior".
        prior_scores = self.module(prior.sample(len(latent)).to(latent))
        latent_scores = self.module(latent.detach())
        discriminator_loss = softplus(-prior_scores).mean() + softplus(latent_scores).mean()
        # With frozen weights, the encoder's loss trains the encoder and not the discriminator.
        frozen = {name: weights.detach() for name, weights in self.module.named_parameters()}
        encoder_loss = softplus(-functional_call(self.module, frozen, (latent,))).mean()
        loss: Tensor = discriminator_loss + self.settings.weight * encoder_loss
        if self.settings.log_variance_penalty == 0:
            return loss
        assert output.logvar is not None
        penalty: Tensor = self.settings.log_variance_penalty * output.logvar.abs().sum(1).mean()
        return loss + penalty
