"""A path between two latents that bends towards regions where sentences are dense.

The density is that of the aggregate posterior, estimated with kernels on the
posterior means of reference sentences: Gaussians with the means' own covariance,
scaled by the width with the highest leave-one-out likelihood. The path
minimizes the mean of -log density along it plus a penalty on its length. Its ends are
fixed and its points evenly spaced: the string method of E, Ren & Vanden-Eijnden 2007
(J. Chem. Phys. 126, 164103). Without the penalty the path would visit every mode
near it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.errors import DataError

_MIN_REFERENCE_SENTENCES = 8

# Widths of a kernel to choose from, in standard deviations of the means.
_KERNEL_WIDTHS = torch.logspace(-1.5, 0.25, 15)

KNOT_COUNT = 25  # points at which the path can bend
OPTIMIZER_STEPS = 100
OPTIMIZER_STEP_SIZE = 0.05

# Weight in nats of the squared length, relative to that of the straight path.
_LENGTH_PENALTY_NATS = 4.0

# Directions with less than this share of the largest variance are dropped as degenerate.
_MIN_RELATIVE_VARIANCE = 1e-6


def density_path(
    start: Tensor,
    end: Tensor,
    steps: int,
    density: "KernelDensity",
    length_penalty: float = _LENGTH_PENALTY_NATS,
) -> Tensor:
    """Return `steps` points from `start` to `end`, evenly spaced along the path, (steps, latent).

    Args:
        length_penalty: nats; higher values make the path straighter.

    Shapes:
        start, end: (latent,)
    """
    straight = space_evenly(torch.stack([start, end]), KNOT_COUNT)
    length = (end - start).norm()
    if length == 0:
        return space_evenly(straight, steps)
    # The caller may be in inference mode, in which no gradient can be computed.
    with torch.inference_mode(False), torch.enable_grad():
        inner = straight[1:-1].clone().requires_grad_(True)
        optimizer = torch.optim.Adam([inner], lr=OPTIMIZER_STEP_SIZE)
        for _ in range(OPTIMIZER_STEPS):
            knots = torch.cat([straight[:1], inner, straight[-1:]])
            # Relative to the straight path with evenly spaced knots, whose stretch is 1.
            stretch = (KNOT_COUNT - 1) * knots.diff(dim=0).square().sum() / length**2
            optimizer.zero_grad()
            (length_penalty * stretch - density.log_prob(inner).mean()).backward()
            optimizer.step()
            # The string method respaces the knots after each step: otherwise they would
            # slide along the path and gather at its densest points.
            with torch.no_grad():
                knots = torch.cat([straight[:1], inner, straight[-1:]])
                inner.copy_(space_evenly(knots, KNOT_COUNT)[1:-1])
    return space_evenly(torch.cat([straight[:1], inner.detach(), straight[-1:]]), steps)


def space_evenly(knots: Tensor, steps: int) -> Tensor:
    """Return `steps` points at even distances along the line through the knots, (steps, latent).

    The first and the last knot are included.
    """
    segment_lengths = knots.diff(dim=0).norm(dim=1)
    knot_positions = torch.cat([segment_lengths.new_zeros(1), segment_lengths.cumsum(0)])
    positions = torch.linspace(0, 1, steps) * knot_positions[-1]
    left = torch.searchsorted(knot_positions, positions, right=True) - 1
    left = left.clamp(0, len(knots) - 2)
    # The floor avoids 0 / 0 where two knots coincide.
    fraction = (positions - knot_positions[left]) / segment_lengths[left].clamp_min(1e-12)
    fraction = fraction.clamp(0, 1).unsqueeze(1)
    points: Tensor = (1 - fraction) * knots[left] + fraction * knots[left + 1]
    return points


@dataclass(frozen=True)
class KernelDensity:
    """A kernel density estimate, in coordinates where the points' covariance is the identity.

    Shapes:
        points: (n, rank), whitened; whitener: (latent, rank); mean: (latent,)
    """

    points: Tensor
    whitener: Tensor
    mean: Tensor
    width: float

    @classmethod
    def fit(cls, means: Tensor) -> "KernelDensity":
        """Fit the density to posterior means, (n, latent).

        Raises:
            DataError: there are too few of them.
        """
        if len(means) < _MIN_REFERENCE_SENTENCES:
            raise DataError(
                f"got {len(means)} different reference sentences, too few to estimate the density of the "
                f"latents; give {_MIN_REFERENCE_SENTENCES} or more."
            )
        mean = means.mean(0)
        # `cov` returns a scalar for a latent of one dimension.
        covariance = torch.atleast_2d((means - mean).T.cov())
        values, axes = torch.linalg.eigh(covariance)
        is_used = values > _MIN_RELATIVE_VARIANCE * values.max()
        whitener = axes[:, is_used] / values[is_used].sqrt()
        points = (means - mean) @ whitener
        return cls(points, whitener, mean, select_kernel_width(points))

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log density of each z, (n,), up to a constant; z: (n, latent)."""
        squared = torch.cdist((z - self.mean) @ self.whitener, self.points).square()
        return torch.logsumexp(-0.5 * squared / self.width**2, dim=1)


def select_kernel_width(points: Tensor) -> float:
    """Return the kernel width with the highest leave-one-out likelihood of the points."""
    # An infinite distance to itself leaves each point out of its own density.
    squared = torch.cdist(points, points).square().fill_diagonal_(torch.inf)
    likelihoods = [
        torch.logsumexp(-0.5 * squared / width**2, dim=1).mean() - points.shape[1] * width.log()
        for width in _KERNEL_WIDTHS
    ]
    return float(_KERNEL_WIDTHS[int(torch.stack(likelihoods).argmax())])
