"""MMD: all sentences' z together shall spread as the prior does, whatever a single one's posterior is.

The maximum mean discrepancy between the batch's z and as many draws from the
prior, its unbiased estimate over the pairs of two different sentences, `weight`
times. With `kl_share` 0 the KL is free: a Wasserstein autoencoder (Tolstikhin
et al. 2018, arXiv:1711.01558). With a share of it paid it is InfoVAE (Zhao et
al. 2019, arXiv:1706.02262), whose alpha is 1 - `kl_share`.

`_inverse_multiquadratic_kernel` is the sum of C / (C + d^2) over C = 2 latent s for the
scales s of Tolstikhin's code. `_gaussian_kernel` is exp(-d^2 / (2 latent)), ours: in
InfoVAE's code the width is the square of the dimension, so wide that the
estimate drowns in the noise of a small batch. Processes each estimate it from
their own share of the batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings

_KERNEL_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMDSettings(TechniqueSettings):
    """How much the spread counts, how it is measured, and what of the KL is paid beside it."""

    kind: Literal["mmd"] = "mmd"
    weight: float = Field(10.0, ge=0, description="nats for a discrepancy of 1")
    kernel: Literal["inverse_multiquadratic", "gaussian"] = "inverse_multiquadratic"
    kl_share: float = Field(
        0.0, ge=0, le=1, description="of the KL that is paid; 1 leaves it to the other techniques"
    )

    @property
    def replaced_terms(self) -> frozenset[str]:
        """The KL, unless all of it is paid."""
        return frozenset({"kl"} if self.kl_share < 1 else {})

    @property
    def penalizes_kl(self) -> bool:
        """Whether any of it is."""
        return self.kl_share > 0

    @property
    def matches_prior(self) -> bool:
        """That is what it is for."""
        return self.weight > 0


class MMD(Technique):
    """Adds the discrepancy between z and the prior."""

    Settings = MMDSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return the share that is paid."""
        share: float = self.settings.kl_share
        return kl * share

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return the weighted discrepancy; of a single sentence there is none."""
        latent, prior = output.latent, output.prior
        assert latent is not None
        assert prior is not None
        kernel = KERNELS[self.settings.kernel]
        discrepancy = squared_mmd(latent, prior.sample(len(latent)).to(latent), kernel)
        return discrepancy * float(self.settings.weight)


def squared_mmd(x: Tensor, y: Tensor, kernel: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return the unbiased estimate of MMD^2 between two samples, both (batch, latent); 0 for a batch of 1."""
    count, latent = x.shape
    if count < 2:
        return 0 * x.sum()
    both = torch.cat([x, y])
    distance = (both.unsqueeze(1) - both).square().sum(-1)
    similar = kernel(distance, latent)
    within = similar[:count, :count] + similar[count:, count:]
    apart = (within.sum() - within.diagonal().sum()) / (count * (count - 1))
    return apart - 2 * similar[:count, count:].mean()


def _inverse_multiquadratic_kernel(squared_distance: Tensor, latent: int) -> Tensor:
    """Return the sum over scales of C / (C + d^2)."""
    widths = [2.0 * latent * scale for scale in _KERNEL_SCALES]
    return torch.stack([width / (width + squared_distance) for width in widths]).sum(0)


def _gaussian_kernel(squared_distance: Tensor, latent: int) -> Tensor:
    """Return exp(-d^2 / (2 latent)); between two draws from N(0, I), d^2 is about 2 latent."""
    return torch.exp(-squared_distance / (2 * latent))


KERNELS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "inverse_multiquadratic": _inverse_multiquadratic_kernel,
    "gaussian": _gaussian_kernel,
}
