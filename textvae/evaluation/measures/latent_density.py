"""A density fitted to latents: a mixture of Gaussians with full covariances, by EM.

It bounds the KL of the aggregate posterior from below: for any density r, and z from
q(z), E[log q(z)] >= E[log r(z)]. The fit must not have seen the z of the average, or the
bound would not hold. A poor fit only makes it looser.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_ROWS_PER_COMPONENT = 500
_MAX_COMPONENTS = 8
_ITERATIONS = 30
_MIN_VARIANCE = 1e-6  # relative to the mean variance of all dimensions


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of Gaussians, in double precision.

    Shapes:
        log_weights: (components,)
        means: (components, latent)
        factors: (components, latent, latent), lower triangular; factor times its transpose is
            the covariance
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor

    @classmethod
    def fit(cls, z: Tensor, seed: int = 0) -> Self:
        """Fit a mixture to latents, (n, latent), with more components for more latents."""
        z = z.double()
        count = max(1, min(_MAX_COMPONENTS, len(z) // _ROWS_PER_COMPONENT))
        random = torch.Generator().manual_seed(seed)
        starts = z[torch.randperm(len(z), generator=random)[:count]]
        everything = torch.ones(len(z), 1, dtype=z.dtype)
        whole = cls.from_memberships(z, everything)
        if count == 1:
            return whole
        log_weights = torch.full((count,), -math.log(count), dtype=z.dtype)
        mixture = cls(log_weights, starts, whole.factors.expand(count, -1, -1))
        for _ in range(_ITERATIONS):
            mixture = cls.from_memberships(z, mixture.component_log_probs(z).softmax(1))
        return mixture

    @classmethod
    def from_memberships(cls, z: Tensor, memberships: Tensor) -> Self:
        """Return the mixture with the moments of latents that belong to its components by shares.

        Args:
            memberships: (n, components), with rows that sum to one.
        """
        latent = z.shape[1]
        sizes = memberships.sum(0)
        means = memberships.t() @ z / sizes.clamp(min=1).unsqueeze(1)
        floor = _MIN_VARIANCE * z.var(correction=0).clamp(min=_MIN_VARIANCE)
        covariances = []
        for size, mean, shares in zip(sizes, means, memberships.t(), strict=True):
            centered = z - mean
            covariance = (shares.unsqueeze(1) * centered).t() @ centered / size.clamp(min=1)
            # Few latents give poor covariances, down to singular ones: shrink them to a diagonal.
            shrinkage = latent / (size + latent)
            diagonal = covariance.diagonal().clamp(min=floor).diag()
            covariances.append((1 - shrinkage) * covariance + shrinkage * diagonal)
        factors = torch.linalg.cholesky(torch.stack(covariances))
        return cls((sizes / sizes.sum()).log(), means, factors)

    def component_log_probs(self, z: Tensor) -> Tensor:
        """Return log of weight times density of each component at z, (n, components)."""
        latent = z.shape[1]
        columns = []
        for log_weight, mean, factor in zip(
            self.log_weights, self.means, self.factors, strict=True
        ):
            whitened = torch.linalg.solve_triangular(factor, (z - mean).t(), upper=False)
            log_scale = factor.diagonal().log().sum() + 0.5 * latent * math.log(2 * math.pi)
            columns.append(log_weight - log_scale - 0.5 * whitened.square().sum(0))
        return torch.stack(columns, dim=1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log r(z) in nats, (n,), for z of (n, latent)."""
        return self.component_log_probs(z.double()).logsumexp(1)
