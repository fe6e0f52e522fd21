"""Mutual information between sentence and latent under the posterior.

I = E_x KL(q(z | x) || q(z)), where q(z) is the average of the posteriors; one
draw of z a sentence. With q(z) over the whole set it cannot exceed ln N; over
batches of 32, as He et al. 2019 (arXiv:1901.05534) report it, not ln 32 = 3.47.
Both take log q(z | x) at the draw, so the caps hold for every draw.
"""

import math

import torch
from torch import Tensor

from textvae.measures.evidence import Evidence, Subject

ROWS = 1024  # of the (n, n) table of densities, at once


def information(subject: Subject) -> dict[str, float]:
    """Return `mi_full` and `mi_batch32` in nats, with their caps."""
    evidence = subject.evidence
    n = len(evidence)
    return {
        "mi_full": mutual_information(evidence, slice(0, n)),
        "mi_full_cap": math.log(n),
        "mi_batch32": batch_average(evidence, 32),
        "mi_batch32_cap": math.log(min(32, n)),
    }


def batch_average(evidence: Evidence, size: int) -> float:
    """Return the mean of the estimate over batches of consecutive sentences, weighted by their size."""
    starts = range(0, len(evidence), size)
    parts = [slice(start, min(start + size, len(evidence))) for start in starts]
    total = sum(mutual_information(evidence, part) * (part.stop - part.start) for part in parts)
    return total / len(evidence)


def mutual_information(evidence: Evidence, part: slice) -> float:
    """Return the mean of log q(z | x) - log q(z) over some sentences, q(z) averaged over the same."""
    own, average = densities_at_draws(evidence, part)
    return float((own - average).mean())


def densities_at_draws(evidence: Evidence, part: slice) -> tuple[Tensor, Tensor]:
    """Return log q(z | x) and log q(z) at the draw of each of some sentences, (n,), q(z) averaged over the same."""
    mean, logvar, z = (table[part].double() for table in (evidence.mean, evidence.logvar, evidence.latent))
    n = len(mean)
    own, average = torch.empty(2, n, dtype=torch.float64)
    for start in range(0, n, ROWS):
        densities = log_densities(z[start : start + ROWS], mean, logvar)
        own[start : start + ROWS] = densities.diagonal(start)
        average[start : start + ROWS] = densities.logsumexp(1) - math.log(n)
    return own, average


def log_densities(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Return log N(z_i; mean_j, exp(logvar_j)) for all pairs, (rows, n), through matrix products."""
    precision = torch.exp(-logvar)
    squared = z.square() @ precision.t() - 2 * z @ (mean * precision).t() + (mean.square() * precision).sum(1)
    return -0.5 * (squared + logvar.sum(1) + mean.shape[1] * math.log(2 * math.pi))
