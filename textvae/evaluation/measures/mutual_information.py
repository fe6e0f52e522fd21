"""Mutual information between sentence and latent under the posterior.

I = E_x KL(q(z | x) || q(z)), where q(z) is the average of the posteriors, with one
draw of z per sentence. With q(z) over the whole set, it cannot exceed ln N. Over
batches of 32, as He et al. 2019 (arXiv:1901.05534) report it, it cannot exceed
ln 32 = 3.47. Both take log q(z | x) at the draw, so these caps hold for every draw.
Near its cap an estimate says only that there is at least so much information.
"""

import math

import torch
from torch import Tensor

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.model.posteriors import Distribution

DENSITY_ROWS_AT_ONCE = 1024  # of the (n, n) table of densities, which may not fit in memory
_CAP_MARGIN_NATS = 1.0
_BATCH_SIZE = 32  # that of He et al. 2019; the key `mi_batch32` is named after it


def information(inputs: EvaluationInput) -> dict[str, float | None]:
    """Return `mi_full` and `mi_batch32` in nats, with their caps.

    Both are None where the posterior has no density.
    """
    outputs = inputs.outputs
    n = len(outputs)
    mi_full = mi_batch = None
    if outputs.posterior.has_density:
        mi_full = estimate_mutual_information(outputs, slice(0, n))
        mi_batch = _average_over_batches(outputs, _BATCH_SIZE)
    return {
        "mi_full": mi_full,
        "mi_full_cap": math.log(n),
        "mi_batch32": mi_batch,
        "mi_batch32_cap": math.log(min(_BATCH_SIZE, n)),
    }


def is_at_cap(information: float, cap: float) -> bool:
    """Return whether an estimate is so near its cap that the true value may be far above it.

    That is within a nat of the cap. For small sets it is in the upper half, since their
    cap may itself be less than a nat.
    """
    return information > cap - min(_CAP_MARGIN_NATS, 0.5 * cap)


def _average_over_batches(outputs: ModelOutputs, size: int) -> float:
    """Return the mean of the estimate over batches of consecutive sentences, weighted by size."""
    total = 0.0
    for start in range(0, len(outputs), size):
        part = slice(start, min(start + size, len(outputs)))
        total += estimate_mutual_information(outputs, part) * (part.stop - part.start)
    return total / len(outputs)


def estimate_mutual_information(outputs: ModelOutputs, part: slice) -> float:
    """Return the mean of log q(z | x) - log q(z) over some sentences, with q(z) their average."""
    own, average = log_densities_at_draws(outputs, part)
    return float((own - average).mean())


@torch.no_grad()
def log_densities_at_draws(outputs: ModelOutputs, part: slice) -> tuple[Tensor, Tensor]:
    """Return log q(z | x) and log q(z) at the draw of each of some sentences.

    q(z) is the average of the posteriors of these sentences. Each result is (n,).
    """
    posterior = outputs.posterior.map(lambda tensor: tensor[part].double())
    z = outputs.latent[part].double()
    n = len(z)
    own = torch.empty(n, dtype=torch.float64)
    average = torch.empty(n, dtype=torch.float64)
    for start in range(0, n, DENSITY_ROWS_AT_ONCE):
        rows = slice(start, start + DENSITY_ROWS_AT_ONCE)
        densities = posterior.log_prob_pairs(z[rows])  # (rows, n): log q(z_i | x_j)
        # Row i of this block is sentence start + i, so its own density is on this diagonal.
        own[rows] = densities.diagonal(start)
        average[rows] = densities.logsumexp(1) - math.log(n)
    return own, average


@torch.no_grad()
def log_sum_of_densities(posterior: Distribution, z: Tensor) -> Tensor:
    """Return the log of the sum of q(z | x) over all sentences x at each z, (rows,)."""
    posterior = posterior.map(Tensor.double)
    # Blocks of the table: at most as many numbers at once as for the information.
    rows = max(1, DENSITY_ROWS_AT_ONCE**2 * 8 // len(posterior.mean))
    blocks = [posterior.log_prob_pairs(block).logsumexp(1) for block in z.double().split(rows)]
    return torch.cat(blocks)
