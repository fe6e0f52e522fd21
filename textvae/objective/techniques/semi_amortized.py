"""Semi-amortized inference: refine the encoder's posterior by a few gradient steps on the ELBO.

For each batch, mean and log-variance take `steps` steps down the negative ELBO while the
decoder is fixed. z is sampled from the result, whose KL counts, so the decoder learns
from a better q (Kim et al. 2018, arXiv:1802.02550). This is the first-order variant: the
shift counts as a constant, the encoder gets the gradient at the refined point, and the
second-order terms through the steps, which the paper keeps, are left out. The steps
descend the plain ELBO, with a KL weight of 1 and one sample each.

This changes training alone: all reported numbers use the encoder's own q, whereas the
paper also refines q at test time.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch, select_decoder_inputs
from textvae.model.importance import add_decoder_states
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian, Distribution
from textvae.objective.techniques.base import Progress, Requirement, Technique, TechniqueSettings


class SemiAmortizedSettings(TechniqueSettings):
    """How far q is refined."""

    kind: Literal["semi_amortized"] = "semi_amortized"
    steps: int = Field(3, ge=1, description="each costs a forward and a backward decoder pass")
    rate: float = Field(0.1, gt=0, description="step size, on each sentence's own ELBO in nats")

    # It shifts mean and log-variance, and its steps descend the ELBO with the plain KL.
    requires: ClassVar[frozenset[Requirement]] = frozenset(
        {Requirement.LOGVAR, Requirement.ELBO_KL}
    )


class SemiAmortized(Technique):
    """Shift the encoder's q to where the ELBO is better."""

    Settings = SemiAmortizedSettings

    def refine_posterior(
        self, posterior: Distribution, model: TextVAEModel, batch: Batch, progress: Progress
    ) -> DiagonalGaussian:
        """Return the encoder's q plus a constant shift of its mean and log-variance."""
        assert isinstance(posterior, DiagonalGaussian), "check_techniques refuses other posteriors"
        start_mean = posterior.mean.detach()
        start_logvar = posterior.logvar.detach()
        mean = start_mean
        logvar = start_logvar
        batch = add_decoder_states(model, batch)
        for _ in range(self.settings.steps):
            mean_gradient, logvar_gradient = elbo_gradients(mean, logvar, model, batch)
            mean = mean - self.settings.rate * mean_gradient
            logvar = logvar - self.settings.rate * logvar_gradient
        # No gradient reaches the encoder through the shift: it gets the one at the refined point.
        return DiagonalGaussian(
            posterior.mean + (mean - start_mean), posterior.logvar + (logvar - start_logvar)
        )


def elbo_gradients(
    mean: Tensor, logvar: Tensor, model: TextVAEModel, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Return the gradients of each sentence's negative ELBO by its mean and log-variance.

    Shapes:
        mean, logvar: (batch, latent)
        returns two tensors, (batch, latent) each
    """
    decoder_inputs: dict[str, Any] = {**select_decoder_inputs(batch)}
    prior = model.prior.conditional_on(batch.get("label_ids"))
    with torch.enable_grad():
        mean = mean.requires_grad_()
        logvar = logvar.requires_grad_()
        posterior = DiagonalGaussian(mean, logvar)
        z = posterior.sample()
        # Not `model(...)`: the trainer has wrapped `model.forward` in an autocast context, which
        # is active here already and cannot be entered a second time.
        output = TextVAEModel.forward(model, **decoder_inputs, latent=z)
        assert output.reconstruction is not None
        # A sum over sentences: a mean would scale each sentence's gradient by the batch size.
        cost = output.reconstruction * len(mean) + prior.kl(posterior, z).sum()
        mean_gradient, logvar_gradient = torch.autograd.grad(cost, (mean, logvar))
    return mean_gradient, logvar_gradient
