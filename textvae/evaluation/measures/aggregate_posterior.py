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
(there the information reaches its cap, ln N, and the aggregate KL is no more than
KL - ln N).

A bracket does not depend on N so much. From above: the average q(z) also has the
posteriors of training sentences, which raises the cap. From below: the expectation of
log r(z) - log p(z) for a density r that is fitted to other sentences' latents. The
bracket of the information follows, since the two add up to the KL.
"""

import math
from typing import Any

import torch
from torch import Tensor

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.latent_density import GaussianMixture
from textvae.evaluation.measures.mutual_information import (
    log_densities_at_draws,
    log_sum_of_densities,
)
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.inference.encode import posterior
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import Stream, seeded
from textvae.runtime.spacing import take_evenly

_REFERENCE_SENTENCES = 30_000  # training sentences, at most
_REFERENCE_FACTOR = 20  # training sentences per evaluated one, at most
_MAX_PAIRS = 50_000_000  # of a draw and a sentence; seconds for a diagonal Gaussian

_NOISE_NATS = 0.1  # by which the bounds of a bracket may disagree

_BRACKET_KEYS = ("aggregate_kl_lower", "aggregate_kl_upper", "mi_lower", "mi_upper")
_AGGREGATE_KEYS = (
    "aggregate_kl",
    "aggregate_kl_stderr",
    "kl_sampled",
    "aggregate_sentences",
    *_BRACKET_KEYS,
)


def aggregate(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `aggregate_kl` and its standard error, `kl_sampled`, brackets, and `kl_by_dimension`.

    The brackets are `aggregate_kl_lower` to `aggregate_kl_upper` and `mi_lower` to
    `mi_upper`; `aggregate_sentences` is the number of posteriors in q(z) for them. All
    these are None where the posterior has no density; `kl_by_dimension` is left out
    where the KL is not a sum over dimensions.
    """
    outputs = inputs.outputs
    if outputs.kl is None:
        return dict.fromkeys(_AGGREGATE_KEYS)
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
    reference = _encode_reference(inputs)
    lower = bound_from_below(outputs, log_prior, reference, inputs.seed)
    upper = record["kl_sampled"] - estimate_information(outputs, own, reference)
    # A KL is not negative.
    upper = max(0.0, upper)
    lower = max(0.0, lower)
    record["aggregate_sentences"] = n + (0 if reference is None else len(reference.mean))
    record |= _build_bracket(lower, upper, record["kl_sampled"])
    by_dimension = kl_by_dimension(outputs)
    if by_dimension is not None:
        record["kl_by_dimension"] = by_dimension
    return record


def _build_bracket(lower: float, upper: float, kl: float) -> dict[str, float | None]:
    """Return the brackets of the aggregate KL and of the information; None if the bounds disagree.

    This happens if the training sentences are unlike the evaluated ones, or if too few sentences
    were evaluated.

    Args:
        lower, upper: bounds of the aggregate KL, in nats.
        kl: the mean KL on the draws.
    """
    if lower > upper + _NOISE_NATS:
        return dict.fromkeys(_BRACKET_KEYS)
    lower = min(lower, upper)  # noise may exchange them
    return {
        "aggregate_kl_lower": lower,
        "aggregate_kl_upper": upper,
        "mi_lower": max(0.0, kl - upper),
        "mi_upper": max(0.0, kl - lower),
    }


def _encode_reference(inputs: EvaluationInput) -> Distribution | None:
    """Return posteriors of training sentences, evenly spaced; None without the training text."""
    if not inputs.training or not inputs.bundle.model.config.latent_dim:
        return None
    most = inputs.settings.aggregate_sentences
    if most is None:
        most = _REFERENCE_SENTENCES
    if most == 0:
        return None
    # In proportion to the evaluated sentences, so that a brief evaluation stays brief.
    count = min(most, _REFERENCE_FACTOR * len(inputs.outputs))
    texts = take_evenly(inputs.training, count)
    return posterior(inputs.bundle, texts, progress=inputs.progress)


@torch.no_grad()
def bound_from_below(
    outputs: ModelOutputs, log_prior: Tensor, reference: Distribution | None, seed: int
) -> float:
    """Return the mean of log r(z) - log p(z) over the draws, with r fitted to other draws.

    Without a reference, r is fitted to one half of the draws for the other half. It is 0
    on a sphere, where the mixture has no density, and for fewer than two different draws.

    Args:
        log_prior: log p(z) of each draw, (n,).
    """
    z = outputs.latent
    if outputs.posterior.is_spherical or z.shape[1] == 0 or len(z) < 2:
        return 0.0
    if reference is not None:
        with seeded(seed, Stream.AGGREGATE):
            others = reference.sample()
        log_density = GaussianMixture.fit(others, seed).log_prob(z)
    else:
        log_density = torch.empty(len(z), dtype=torch.float64)
        # Copies of a sentence have the same draw, and belong to the same half.
        number = torch.unique(z, dim=0, return_inverse=True)[1]
        is_first = number % 2 == 0
        if is_first.all():
            return 0.0  # there is one draw alone
        for half in (is_first, ~is_first):
            log_density[half] = GaussianMixture.fit(z[~half], seed).log_prob(z[half])
    return float((log_density - log_prior).mean())


def estimate_information(
    outputs: ModelOutputs, own: Tensor, reference: Distribution | None
) -> float:
    """Return the mean of log q(z | x) - log q(z), with the reference as a part of q(z).

    Args:
        own: log q(z | x) of each draw, (n,).
    """
    n = len(outputs)
    count = n + (0 if reference is None else len(reference.mean))
    draws = min(n, max(1, _MAX_PAIRS // count))
    rows = torch.arange(draws) * n // draws
    z = outputs.latent[rows].double()
    total = log_sum_of_densities(outputs.posterior, z)
    if reference is not None:
        total = torch.logaddexp(total, log_sum_of_densities(reference, z))
    return float((own[rows] - total).mean()) + math.log(count)


def kl_by_dimension(outputs: ModelOutputs) -> list[float] | None:
    """Return the mean KL of each latent dimension in nats; None where only the total is known."""
    if outputs.kl is None or outputs.kl.shape != outputs.mean.shape:
        return None
    return list(map(float, outputs.kl.double().mean(0)))
