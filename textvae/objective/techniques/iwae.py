"""IWAE: maximise the importance-weighted bound, which K draws make tighter than the ELBO.

The gradient of log mean_k w_k, w_k = p(x, z_k) / q(z_k | x), is the sum of the
draws' gradients of log w_k weighted by their normalised weights (Burda et al.
2016, arXiv:1509.00519). We pick one draw with these weights as probabilities
and follow its gradient alone: the same in expectation, with more noise, at the
cost of K passes of the decoder without gradient and one with. So z is the
picked draw, and log q(z | x) - log p(z) at it is paid in the place of the KL.

The weights are those of the decoder without its dropout; the loss that is
logged is -log w of the picked draws, not the bound.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.importance import log_importance_weights
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.model.posteriors import Distribution
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class IWAESettings(TechniqueSettings):
    """How tight the bound is."""

    kind: Literal["iwae"] = "iwae"
    draws: int = Field(5, ge=1, description="K, draws a sentence")

    @property
    def needs_density(self) -> bool:
        """The weights are ratios of densities."""
        return True

    @property
    def replaced_terms(self) -> frozenset[str]:
        """The KL is paid by the draw, and the draw is chosen."""
        return frozenset({"kl", "draw"})


class IWAE(Technique):
    """Decodes one of K draws, picked by its importance weight."""

    Settings = IWAESettings

    def draw(
        self,
        latent: Tensor,
        posterior: Distribution,
        model: TextVAEModel,
        batch: Batch,
        progress: Progress,
    ) -> Tensor:
        """Return the picked draws, differentiable in q's parameters."""
        drawn = torch.stack([latent, *(posterior.sample() for _ in range(1, self.settings.draws))])
        was_training = model.training
        model.eval()
        with torch.no_grad():
            chances = log_importance_weights(model, posterior, batch, drawn).softmax(0)
        model.train(was_training)
        picked = torch.multinomial(chances.t(), 1).squeeze(1)
        return drawn[picked, torch.arange(len(latent), device=latent.device)]

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: it is paid at the draw."""
        return torch.zeros_like(kl)

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return log q(z | x) - log p(z), averaged over sentences."""
        latent, posterior, prior = output.latent, output.posterior, output.prior
        assert latent is not None
        assert posterior is not None
        assert prior is not None
        return (posterior.log_prob(latent) - prior.log_prob(latent)).mean()
