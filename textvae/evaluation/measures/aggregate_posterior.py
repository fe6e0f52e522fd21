"""The aggregate posterior's mismatch with the prior: KL(q(z) || p(z)), q(z) the average over the evaluation set.

KL(q(z | x) || p(z)), averaged, is the mutual information plus this (Hoffman & Johnson 2016, "ELBO surgery"). It is
what samples from the prior suffer from: z where no sentence lies. Estimated with the draws of the mutual information,
so that with `kl_sampled`, the same KL on the same draws, mi_full + aggregate_kl = kl_sampled to rounding. A draw's own
sentence is in the average: the information is estimated too low, the mismatch too high, most where posteriors lie far
apart (the information is then at its cap, ln N).
"""

import math
from typing import Any

import torch

from textvae.evaluation.measures.mutual_information import log_densities_at_draws
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.evaluation.measures.subject import EvaluationInput


def aggregate(subject: EvaluationInput) -> dict[str, Any]:
    """Return `aggregate_kl` with its standard error, `kl_sampled`, and `kl_by_dimension` where q(z | x) factorises.

    Where the posterior has no density, the first three are None.
    """
    evidence = subject.outputs
    if evidence.kl is None:
        return dict.fromkeys(("aggregate_kl", "aggregate_kl_stderr", "kl_sampled"))
    own, average = log_densities_at_draws(evidence, slice(0, len(evidence)))
    with torch.no_grad():
        prior = (
            subject.bundle.model.prior.log_prob(evidence.latent.to(subject.bundle.device))
            .double()
            .cpu()
        )
    mismatch, n = average - prior, len(evidence)
    record: dict[str, Any] = {
        "aggregate_kl": float(mismatch.mean()),
        "aggregate_kl_stderr": float(mismatch.std()) / math.sqrt(n) if n > 1 else 0.0,
        "kl_sampled": float((own - prior).mean()),
    }
    by_dimension = kl_by_dimension(evidence)
    return record if by_dimension is None else {**record, "kl_by_dimension": by_dimension}


def kl_by_dimension(evidence: ModelOutputs) -> list[float] | None:
    """Return the mean KL of each dimension in nats; None where there is only the whole."""
    if evidence.kl is None or evidence.kl.shape != evidence.mean.shape:
        return None
    return list(map(float, evidence.kl.double().mean(0)))
