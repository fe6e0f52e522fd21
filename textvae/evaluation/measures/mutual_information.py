"""Mutual information between sentence and latent under the posterior.

I = E_x KL(q(z | x) || q(z)), where q(z) is the average of the posteriors; one
draw of z a sentence. With q(z) over the whole set it cannot exceed ln N; over
batches of 32, as He et al. 2019 (arXiv:1901.05534) report it, not ln 32 = 3.47.
Both take log q(z | x) at the draw, so the caps hold for every draw.
"""

import math

import torch
from torch import Tensor

from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.evaluation.measures.subject import EvaluationInput

DENSITY_ROWS_AT_ONCE = 1024  # of the (n, n) table of densities, at once


def information(subject: EvaluationInput) -> dict[str, float | None]:
    """Return `mi_full` and `mi_batch32` in nats, None where the posterior has no density, with their caps."""
    evidence = subject.outputs
    n, is_defined = len(evidence), evidence.posterior.has_density
    return {
        "mi_full": estimate_mutual_information(evidence, slice(0, n)) if is_defined else None,
        "mi_full_cap": math.log(n),
        "mi_batch32": _average_over_batches(evidence, 32) if is_defined else None,
        "mi_batch32_cap": math.log(min(32, n)),
    }


def _average_over_batches(evidence: ModelOutputs, size: int) -> float:
    """Return the mean of the estimate over batches of consecutive sentences, weighted by their size."""
    starts = range(0, len(evidence), size)
    parts = [slice(start, min(start + size, len(evidence))) for start in starts]
    total = sum(
        estimate_mutual_information(evidence, part) * (part.stop - part.start) for part in parts
    )
    return total / len(evidence)


def estimate_mutual_information(evidence: ModelOutputs, part: slice) -> float:
    """Return the mean of log q(z | x) - log q(z) over some sentences, q(z) averaged over the same."""
    own, average = log_densities_at_draws(evidence, part)
    return float((own - average).mean())


@torch.no_grad()
def log_densities_at_draws(evidence: ModelOutputs, part: slice) -> tuple[Tensor, Tensor]:
    """Return log q(z | x) and log q(z) at the draw of each of some sentences, (n,), q(z) averaged over the same."""
    posterior, z = (
        evidence.posterior.map(lambda tensor: tensor[part].double()),
        evidence.latent[part].double(),
    )
    n = len(z)
    own, average = torch.empty(2, n, dtype=torch.float64)
    for start in range(0, n, DENSITY_ROWS_AT_ONCE):
        densities = posterior.log_prob_pairs(z[start : start + DENSITY_ROWS_AT_ONCE])
        own[start : start + DENSITY_ROWS_AT_ONCE] = densities.diagonal(start)
        average[start : start + DENSITY_ROWS_AT_ONCE] = densities.logsumexp(1) - math.log(n)
    return own, average
