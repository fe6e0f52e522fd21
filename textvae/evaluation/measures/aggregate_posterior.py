"""KL(q(z) || p(z)): how far the aggregate posterior q(z) is from the prior.

q(z) is the average of the posteriors over the evaluation set. The average of
KL(q(z | x) || p(z)) is the mutual information plus KL(q(z) || p(z)) (Hoffman & Johnson
2016, "ELBO surgery"). If KL(q(z) || p(z)) is large, texts sampled from the prior are
poor: their latents are in regions where no sentence lies.

The estimate uses the same draws as the mutual information. `kl_sampled` is the mean
KL on these draws, so that mi_full + aggregate_kl = kl_sampled up to rounding. In a
conditional model, p(z) is the mixture over labels, unless all sentences share one
label. Each draw's own sentence is part of the average q(z), so the information is
estimated too low and the aggregate KL too high, most where posteriors are far apart
(there the information reaches its cap, ln N).
"""

import math
from typing import Any

import torch

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.mutual_information import log_densities_at_draws
from textvae.evaluation.measures.outputs import ModelOutputs


def aggregate(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `aggregate_kl` with its standard error, `kl_sampled`, and `kl_by_dimension`.

    The first three are None where the posterior has no density; `kl_by_dimension` is
    left out where the KL is not a sum over dimensions.
    """
    outputs = inputs.outputs
    if outputs.kl is None:
        return dict.fromkeys(("aggregate_kl", "aggregate_kl_stderr", "kl_sampled"))
    n = len(outputs)
    own, average = log_densities_at_draws(outputs, slice(0, n))
    with torch.no_grad():
        latent = outputs.latent.to(inputs.bundle.device)
        log_prior = inputs.bundle.prior.log_prob(latent).double().cpu()
    mismatch = average - log_prior
    record: dict[str, Any] = {
        "aggregate_kl": float(mismatch.mean()),
        "aggregate_kl_stderr": float(mismatch.std()) / math.sqrt(n) if n > 1 else 0.0,
        "kl_sampled": float((own - log_prior).mean()),
    }
    by_dimension = kl_by_dimension(outputs)
    if by_dimension is not None:
        record["kl_by_dimension"] = by_dimension
    return record


def kl_by_dimension(outputs: ModelOutputs) -> list[float] | None:
    """Return the mean KL of each latent dimension in nats; None where only the total is known."""
    if outputs.kl is None or outputs.kl.shape != outputs.mean.shape:
        return None
    return list(map(float, outputs.kl.double().mean(0)))
