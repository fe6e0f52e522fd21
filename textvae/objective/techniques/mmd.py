"""MMD: match the aggregate posterior to the prior with a maximum mean discrepancy.

The penalty is `weight` times the discrepancy between the batch's latents and as many
samples of the prior, estimated without bias from pairs of different sentences. With
`kl_share` 0 the KL is free: a Wasserstein autoencoder (Tolstikhin et al. 2018,
arXiv:1711.01558). Otherwise that share of the KL stays in the loss: InfoVAE (Zhao et
al. 2019, arXiv:1706.02262), whose alpha is 1 - `kl_share`.

The inverse multiquadratic kernel is the sum of C / (C + d^2) over C = 2 latent s, for
the scales s of Tolstikhin's code. The Gaussian kernel, exp(-d^2 / (2 latent)), is ours:
in InfoVAE's code the width is the square of the dimension, so wide that the estimate is
lost in the noise of a small batch. Each process estimates the discrepancy from its own
share of the batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import (
    ObjectiveTerm,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)

_KERNEL_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMDSettings(TechniqueSettings):
    """The weight and the kernel of the discrepancy, and the share of the KL in the loss."""

    kind: Literal["mmd"] = "mmd"
    weight: float = Field(10.0, ge=0, description="nats per unit of discrepancy")
    kernel: Literal["inverse_multiquadratic", "gaussian"] = Field(
        "inverse_multiquadratic", description="kernel that compares two latents"
    )
    kl_share: float = Field(
        0.0, ge=0, le=1, description="share of the KL in the loss; 1 leaves it to other techniques"
    )

    @property
    def replaces(self) -> frozenset[ObjectiveTerm]:
        """The KL unless all of it is in the loss, and any cost of information if none of it is."""
        if self.kl_share == 1:
            return frozenset()
        if self.kl_share > 0:
            return frozenset({ObjectiveTerm.KL})
        return frozenset({ObjectiveTerm.KL, ObjectiveTerm.INFORMATION_COST})

    @property
    def requires(self) -> frozenset[Requirement]:
        """The density if a part of the KL stays in the loss, where it also trains the prior."""
        has_part = 0 < self.kl_share < 1
        return frozenset({Requirement.DENSITY}) if has_part else frozenset()

    @property
    def matches_prior(self) -> bool:
        """True unless the discrepancy is switched off."""
        return self.weight > 0


class MMD(Technique):
    """Add the discrepancy between the latents and the prior."""

    Settings = MMDSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the share of the KL that stays in the loss."""
        share: float = self.settings.kl_share
        return kl * share

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the weighted discrepancy; 0 for a single sentence."""
        latent = output.latent
        prior = output.prior
        assert latent is not None
        assert prior is not None
        kernel = KERNELS[self.settings.kernel]
        discrepancy = squared_mmd(latent, prior.sample(len(latent)).to(latent), kernel)
        return discrepancy * float(self.settings.weight)


def squared_mmd(x: Tensor, y: Tensor, kernel: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return the unbiased estimate of MMD^2 between two samples; 0 for samples of one.

    Shapes:
        x, y: (batch, latent)
        returns a scalar
    """
    count, latent = x.shape
    if count < 2:
        return 0 * x.sum()  # a product, so that gradients can flow
    both = torch.cat([x, y])
    squared_distance = (both.unsqueeze(1) - both).square().sum(-1)
    similarity = kernel(squared_distance, latent)
    within = similarity[:count, :count] + similarity[count:, count:]
    # Without the diagonal, on which each point is compared to itself, the estimate is unbiased.
    within_mean = (within.sum() - within.diagonal().sum()) / (count * (count - 1))
    return within_mean - 2 * similarity[:count, count:].mean()


def _inverse_multiquadratic_kernel(squared_distance: Tensor, latent: int) -> Tensor:
    """Return the sum over scales of C / (C + d^2)."""
    widths = [2.0 * latent * scale for scale in _KERNEL_SCALES]
    return torch.stack([width / (width + squared_distance) for width in widths]).sum(0)


def _gaussian_kernel(squared_distance: Tensor, latent: int) -> Tensor:
    """Return exp(-d^2 / (2 latent)); between two samples of N(0, I), d^2 is about 2 latent."""
    return torch.exp(-squared_distance / (2 * latent))


KERNELS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "inverse_multiquadratic": _inverse_multiquadratic_kernel,
    "gaussian": _gaussian_kernel,
}
