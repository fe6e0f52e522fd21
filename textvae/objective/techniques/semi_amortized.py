"""Semi-amortised inference: the encoder's q is a start, bettered by a few steps of gradient descent.

For each batch, mean and log variance take `steps` steps down the negative ELBO
with the decoder held still; z is drawn from where they end and the KL is paid
there, so that the decoder learns from a better q (Kim et al. 2018,
arXiv:1802.02550). This is the first-order variant: the shift counts as a
constant, the encoder gets the gradient at the refined point, and the
second-order terms through the steps, which the paper keeps, are left out. The
steps descend the plain ELBO, weight 1, with one draw each.

It changes training alone: all reported numbers use the encoder's own q, where
the paper refines q in testing too.
"""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch, select_decoder_inputs
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian, Distribution
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class SemiAmortizedSettings(TechniqueSettings):
    """How far q is refined."""

    kind: Literal["semi_amortized"] = "semi_amortized"
    steps: int = Field(3, ge=1, description="each costs a pass of the decoder, there and back")
    rate: float = Field(0.1, gt=0, description="of a step, on each sentence's own ELBO in nats")

    @property
    def needs_logvar(self) -> bool:
        """It moves it."""
        return True

    @property
    def required_terms(self) -> frozenset[str]:
        """Refined is the ELBO, and no other objective."""
        return frozenset({"kl"})


class SemiAmortized(Technique):
    """Shifts the encoder's q to where the ELBO is better."""

    Settings = SemiAmortizedSettings

    def refine_posterior(
        self, posterior: Distribution, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> DiagonalGaussian:
        """Return the encoder's q plus a constant shift of its mean and log variance."""
        assert isinstance(posterior, DiagonalGaussian), "others are refused with the settings"
        start = posterior.mean.detach(), posterior.logvar.detach()
        mean, logvar = start
        for _ in range(self.settings.steps):
            slopes = elbo_gradients(mean, logvar, model, batch)
            mean, logvar = (
                mean - self.settings.rate * slopes[0],
                logvar - self.settings.rate * slopes[1],
            )
        return DiagonalGaussian(
            posterior.mean + (mean - start[0]), posterior.logvar + (logvar - start[1])
        )


def elbo_gradients(
    mean: Tensor, logvar: Tensor, model: TextVAEModel, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Return the gradients of each sentence's negative ELBO by its mean and log variance, both (batch, latent)."""
    read: dict[str, Any] = {**select_decoder_inputs(batch)}
    prior = model.prior.conditional_on(batch.get("label_ids"))
    with torch.enable_grad():
        mean, logvar = mean.requires_grad_(), logvar.requires_grad_()
        posterior = DiagonalGaussian(mean, logvar)
        # not model(...): within a training step that is wrapped in an autocast which cannot be entered twice
        z = posterior.sample()
        reconstruction = TextVAEModel.forward(model, **read, latent=z).reconstruction
        assert reconstruction is not None
        cost = reconstruction * len(mean) + prior.kl(posterior, z).sum()  # a sum over sentences
        slopes = torch.autograd.grad(cost, (mean, logvar))
    return slopes[0], slopes[1]
