"""Mutual information between sentence and latent under the posterior.

I = E_x KL(q(z | x) || q(z)), where q(z) is the average of the posteriors; one
draw of z a sentence. With q(z) over the whole set it cannot exceed ln N; over
batches of 32, as He et al. 2019 (arXiv:1901.05534) report it, not ln 32 = 3.47.
Both take log q(z | x) at the draw, so the caps hold for every draw.
"""

import math

import torch
from torch import Tensor

from textvae.evaluation.measures.outputs import Evidence
from textvae.evaluation.measures.subject import Subject

ROWS = 1024  # of the (n, n) table of densities, at once


def information(subject: Subject) -> dict[str, float | None]:
    """Return `mi_full` and `mi_batch32` in nats, None where the posterior has no density, with their caps."""
    evidence = subject.evidence
    n, is_defined = len(evidence), evidence.posterior.has_density
    return {
        "mi_full": mutual_information(evidence, slice(0, n)) if is_defined else None,
        "mi_full_cap": math.log(n),
        "mi_batch32": batch_average(evidence, 32) if is_defined else None,
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


@torch.no_grad()
def densities_at_draws(evidence: Evidence, part: slice) -> tuple[Tensor, Tensor]:
    """Return log q(z | x) and log q(z) at the draw of each of some sentences, (n,), q(z) averaged over the same."""
    posterior, z = evidence.posterior.map(lambda tensor: tensor[part].double()), evidence.latent[part].double()
    n = len(z)
    own, average = torch.empty(2, n, dtype=torch.float64)
    for start in range(0, n, ROWS):
        densities = posterior.pairs(z[start : start + ROWS])
        own[start : start + ROWS] = densities.diagonal(start)
        average[start : start + ROWS] = densities.logsumexp(1) - math.log(n)
    return own, average
