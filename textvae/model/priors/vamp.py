"""VampPrior: the prior is the average of the posteriors of learned pseudo-inputs.

Tomczak & Welling 2018 (arXiv:1705.07120). Their pseudo-inputs are images. A
sentence is discrete and cannot be learned by gradients, so ours are pooled
encoder states, which go through the same head of the posterior as real ones.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors import Distribution, Posterior
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings, Size


class VampSettings(PartSettings):
    """The number of posteriors in the average."""

    kind: Literal["vamp"] = "vamp"
    components: Size = Field(32, description="number of learned pseudo-inputs")


class VampPrior(Prior):
    """Mean over k of q(z | u_k), with learned pseudo-inputs u_k."""

    Settings = VampSettings
    is_learned: ClassVar[bool] = True
    # Only posteriors that depend on one sentence alone: batch normalization would
    # mix the pseudo-inputs with one another.
    supported_posteriors: ClassVar[tuple[str, ...] | None] = ("gaussian", "delta_gaussian")

    def __init__(self, settings: VampSettings, latent: int) -> None:
        super().__init__(settings, latent)
        self.count = settings.components
        self.head: Callable[[Tensor], Distribution]

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """Keep a reference to the posterior's head, and create pseudo-inputs of its width."""
        # A bound method, not the module: as a submodule, the posterior's weights
        # would be saved and optimized twice.
        self.head = posterior.head
        self.states = nn.Parameter(torch.randn(self.count, posterior.width))

    @property
    def components(self) -> Distribution:
        """The posteriors of the pseudo-inputs, one row each."""
        # In single precision, as `Posterior.forward` calls the head for real sentences.
        with torch.autocast(self.states.device.type, enabled=False):
            return self.head(self.states)

    def center(self) -> Tensor:
        """Return the mean of the posteriors' means, (latent,)."""
        return self.components.mean.mean(0)

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent), each row from one of the posteriors, chosen uniformly."""
        rows = torch.randint(self.count, (count,))
        return self.components.map(lambda tensor: tensor.cpu()[rows]).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: (...) for z of shape (..., latent)."""
        # log (1/K sum_k q(z | u_k)), by log-sum-exp, since each density may underflow.
        per_component = self.components.log_prob(z.unsqueeze(-2))  # (..., components)
        return per_component.logsumexp(-1) - math.log(self.count)
