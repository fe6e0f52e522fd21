"""VampPrior: the prior is an average of posteriors, those of sentences that are learned.

Tomczak & Welling 2018 (arXiv:1705.07120). A sentence is no vector that could be
learned, so the pseudo-inputs here are pooled states of the encoder; from there
they go through the posterior's own head, as any sentence's do.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textvae.model.posteriors import Distribution, Posterior
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings


class VampSettings(PartSettings):
    """How many posteriors are averaged."""

    kind: Literal["vamp"] = "vamp"
    components: int = Field(32, gt=0, description="learned pseudo-inputs")


class VampPrior(Prior):
    """Mean over k of q(z | u_k)."""

    Settings = VampSettings
    is_learned: ClassVar[bool] = True
    posteriors: ClassVar[tuple[str, ...] | None] = (
        "gaussian",
        "delta_gaussian",
    )  # a batch of sentences has no say

    def __init__(self, settings: VampSettings, latent: int) -> None:
        super().__init__(settings, latent)
        self.count = settings.components
        self.head: Callable[[Tensor], Distribution]

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """Take its head: a bound method, so that its weights stay the posterior's alone."""
        self.head = posterior.head
        self.states = nn.Parameter(torch.randn(self.count, posterior.width))

    @property
    def components(self) -> Distribution:
        """The posteriors of the pseudo-inputs, in a batch."""
        with torch.autocast(self.states.device.type, enabled=False):
            return self.head(self.states)

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), each from a posterior chosen evenly."""
        chosen = torch.randint(self.count, (count,))
        return self.components.map(lambda tensor: tensor.cpu()[chosen]).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats."""
        return self.components.log_prob(z.unsqueeze(-2)).logsumexp(-1) - math.log(self.count)
