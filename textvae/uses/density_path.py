"""A path that stays where the data are: from end to end, bent to where sentences lie close.

Where sentences lie is the aggregate posterior, estimated by kernels on the
posterior means of reference sentences: Gaussians with the means' own covariance,
scaled by the width under which left-out sentences are likeliest. The path
minimises the mean of -log density along it plus the price of its length, with fixed ends
and points evenly apart: the string method of E, Ren & Vanden-Eijnden 2007 (J. Chem.
Phys. 126, 164103), whose path would visit every hilltop near it if length were free.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.errors import DataError

_MIN_REFERENCE_SENTENCES = 8  # reference sentences


_KERNEL_WIDTHS = torch.logspace(-1.5, 0.25, 15)  # of a kernel, in standard deviations of the means


KNOT_COUNT, OPTIMIZER_STEPS, OPTIMIZER_STEP_SIZE = (
    25,
    100,
    0.05,
)  # points that the path is bent at; steps of the optimiser, and their size


_LENGTH_PENALTY_NATS = 4.0  # nats, of a path as long again as the straight one


@dataclass(frozen=True)
class KernelDensity:
    """Kernels on points, in coordinates where the points' covariance is the identity.

    Shapes:
        points: (n, kept), whitened; whitener: (latent, kept); mean: (latent,)
    """

    points: Tensor
    whitener: Tensor
    mean: Tensor
    width: float

    @classmethod
    def of(cls, means: Tensor) -> "KernelDensity":
        """Fit to posterior means, (n, latent).

        Raises:
            DataError: there are too few.
        """
        if len(means) < _MIN_REFERENCE_SENTENCES:
            raise DataError(
                f"{len(means)} reference sentences do not show where the data are; give {_MIN_REFERENCE_SENTENCES} or more."
            )
        mean = means.mean(0)
        values, axes = torch.linalg.eigh((means - mean).T.cov())
        kept = values > 1e-6 * values.max()
        whitener = axes[:, kept] / values[kept].sqrt()
        points = (means - mean) @ whitener
        return cls(points, whitener, mean, select_kernel_width(points))

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log density of each z, (n,), up to a constant; z: (n, latent)."""
        squared = torch.cdist((z - self.mean) @ self.whitener, self.points).square()
        return torch.logsumexp(-0.5 * squared / self.width**2, dim=1)


def select_kernel_width(points: Tensor) -> float:
    """Return the width of kernels under which each point is likeliest by the others, of those in `_KERNEL_WIDTHS`."""
    squared = torch.cdist(points, points).square().fill_diagonal_(torch.inf)
    likelihoods = [
        torch.logsumexp(-0.5 * squared / width**2, dim=1).mean() - points.shape[1] * width.log()
        for width in _KERNEL_WIDTHS
    ]
    return float(_KERNEL_WIDTHS[int(torch.stack(likelihoods).argmax())])


def density_path(
    start: Tensor,
    end: Tensor,
    steps: int,
    density: KernelDensity,
    price: float = _LENGTH_PENALTY_NATS,
) -> Tensor:
    """Return `steps` points from `start` to `end`, evenly apart along the path, (steps, latent)."""
    straight = space_evenly(torch.stack([start, end]), KNOT_COUNT)
    length = (end - start).norm()
    if length == 0:
        return space_evenly(straight, steps)
    with torch.inference_mode(False), torch.enable_grad():
        inner = straight[1:-1].clone().requires_grad_(True)
        optimiser = torch.optim.Adam([inner], lr=OPTIMIZER_STEP_SIZE)
        for _ in range(OPTIMIZER_STEPS):
            knots = torch.cat([straight[:1], inner, straight[-1:]])
            stretch = (
                (KNOT_COUNT - 1) * knots.diff(dim=0).square().sum() / length**2
            )  # 1 where straight and even
            optimiser.zero_grad()
            (price * stretch - density.log_prob(inner).mean()).backward()
            optimiser.step()
            with torch.no_grad():
                inner.copy_(
                    space_evenly(torch.cat([straight[:1], inner, straight[-1:]]), KNOT_COUNT)[1:-1]
                )
    return space_evenly(torch.cat([straight[:1], inner.detach(), straight[-1:]]), steps)


def space_evenly(knots: Tensor, steps: int) -> Tensor:
    """Return `steps` points along the line through the knots, at even distances, ends included, (steps, latent)."""
    strides = knots.diff(dim=0).norm(dim=1)
    reached = torch.cat([strides.new_zeros(1), strides.cumsum(0)])
    wanted = torch.linspace(0, 1, steps) * reached[-1]
    left = (torch.searchsorted(reached, wanted, right=True) - 1).clamp(0, len(knots) - 2)
    share = ((wanted - reached[left]) / strides[left].clamp_min(1e-12)).clamp(0, 1).unsqueeze(1)
    points: Tensor = (1 - share) * knots[left] + share * knots[left + 1]
    return points
