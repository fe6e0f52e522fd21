"""IWAE: maximize the importance-weighted bound, which K samples make tighter than the ELBO.

The gradient of log mean_k w_k, with w_k = p(x, z_k) / q(z_k | x), is the sum of the
samples' gradients of log w_k, weighted by their normalized weights (Burda et al. 2016,
arXiv:1509.00519). We choose one sample with these weights as probabilities and follow
its gradient alone. In expectation this is the same, with more noise, and it costs K
decoder passes without gradient and only one with gradient. So z is the chosen sample,
and log q(z | x) - log p(z) at this z replaces the KL.

The weights are those of the decoder without dropout. The loss that is logged is -log w
of the chosen samples, not the bound.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.importance import log_importance_weights
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.model.posteriors import Distribution
from textvae.objective.techniques.base import (
    ObjectiveTerm,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)


class IWAESettings(TechniqueSettings):
    """How tight the bound is."""

    kind: Literal["iwae"] = "iwae"
    draws: int = Field(5, ge=1, le=10_000, description="K, samples per sentence")

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.DENSITY})
    replaces: ClassVar[frozenset[ObjectiveTerm]] = frozenset(
        {ObjectiveTerm.KL, ObjectiveTerm.LATENT}
    )


class IWAE(Technique):
    """Decode one of K samples, chosen by its importance weight."""

    Settings = IWAESettings

    def shape_latent(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return the chosen samples, differentiable in the parameters of q."""
        samples = [latent]
        for _ in range(1, self.settings.draws):
            samples.append(posterior.sample())
        stacked = torch.stack(samples)  # (draws, batch, latent)
        # With dropout, the weights would compare decoders as well as samples.
        was_training = model.training
        model.eval()
        with torch.no_grad():
            weights = log_importance_weights(model, posterior, batch, stacked).softmax(0)
        model.train(was_training)
        # A loss that is not a number is reported where the loss is; any sample will do here.
        chosen = torch.multinomial(weights.nan_to_num(nan=1.0).t(), 1).squeeze(1)
        return stacked[chosen, torch.arange(len(latent), device=latent.device)]

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: `penalty` replaces the KL."""
        return torch.zeros_like(kl)

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return log q(z | x) - log p(z), averaged over sentences."""
        latent = output.latent
        posterior = output.posterior
        prior = output.prior
        assert latent is not None
        assert posterior is not None
        assert prior is not None
        return (posterior.log_prob(latent) - prior.log_prob(latent)).mean()
