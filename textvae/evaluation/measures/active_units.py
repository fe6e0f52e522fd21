"""Active units: latent dimensions whose posterior mean varies between sentences.

A unit is active if the variance (n - 1) of its posterior mean over the evaluation
set is at least 0.01 (Burda et al. 2016, arXiv:1509.00519). The curve shows how
much the count depends on this threshold.

The count can be bought: a floor on what each unit carries, such as `unit_floor` or free
bits, lifts every unit just above the threshold. So there are also two numbers of how
the information is spread over the units. The information of a unit is the part of its
KL that depends on the sentence,

    I_j = (ln Var[z_j] - E[ln sigma_j^2]) / 2,

where Var[z_j] is the variance of the unit under the aggregate posterior, that of its
mean plus the mean of its sigma_j^2. The rest of the KL is the distance of a Gaussian of
that mean and variance from the prior. A unit of noise, whose posterior is the same for
all sentences, has a KL but no information.

If the prior depends on a label, all variances are of the distance from the mean of the
label's prior. Otherwise a unit that tells nothing but the label would be active, at no KL.
"""

from typing import Any

import torch
from torch import Tensor

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.evaluation.measures.outputs import ModelOutputs
from textvae.model.posteriors import DiagonalGaussian

ACTIVE_UNIT_VARIANCE = 0.01
STRICT_UNIT_VARIANCE = 0.1  # a unit of this variance carries about 0.05 nats
_VARIANCE_THRESHOLDS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]
_NO_INFORMATION = 1e-18  # nats squared: what rounding leaves without any
_FIRST_UNITS = 10  # the key `beyond_ten_share` is named after it


def active_units(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `active_units`, `latent_dim`, the counts at other thresholds, and their spread.

    `active_units_strict` is the count at a variance of 0.1. `effective_units`,
    `beyond_ten_share` and `information_by_dimension` are left out where the information
    of a unit is not defined. A single sentence has no variance and therefore no active
    unit.
    """
    mean = inputs.outputs.offset
    variance = torch.zeros(mean.shape[1])
    if len(mean) > 1 and mean.shape[1]:
        variance = mean.var(0)
    counts = [int((variance >= threshold).sum()) for threshold in _VARIANCE_THRESHOLDS]
    return {
        "active_units": counts[_VARIANCE_THRESHOLDS.index(ACTIVE_UNIT_VARIANCE)],
        "active_units_strict": counts[_VARIANCE_THRESHOLDS.index(STRICT_UNIT_VARIANCE)],
        "latent_dim": mean.shape[1],
        "active_units_thresholds": _VARIANCE_THRESHOLDS,
        "active_units_curve": counts,
        **_summarize_spread(unit_information(inputs.outputs)),
    }


def unit_information(outputs: ModelOutputs) -> Tensor | None:
    """Return the information that each unit carries in nats, (latent,), in double precision.

    For a posterior that is no diagonal Gaussian, it is the KL of each unit if that is
    known, else None.
    """
    posterior = outputs.posterior
    if posterior.mean.shape[1] == 0:  # torch warns about the variance of an empty tensor
        return torch.zeros(0, dtype=torch.float64)
    if isinstance(posterior, DiagonalGaussian):
        logvar = posterior.logvar.double()
        aggregate = outputs.offset.double().var(0, correction=0) + logvar.exp().mean(0)
        # Rounding can make it slightly negative for a unit that carries nothing.
        return (0.5 * (aggregate.log() - logvar.mean(0))).clamp(min=0)
    if outputs.kl is None or outputs.kl.shape != outputs.mean.shape:
        return None
    return outputs.kl.double().mean(0)


def _summarize_spread(information: Tensor | None) -> dict[str, Any]:
    """Return how evenly the information is spread over the units."""
    if information is None:
        return {}
    total = float(information.sum())
    later = float(information.sort(descending=True).values[_FIRST_UNITS:].sum())
    return {
        "effective_units": count_effective_units(information),
        "beyond_ten_share": later / total if total > 0 else 0.0,
        "information_by_dimension": information.tolist(),
    }


def count_effective_units(information: Tensor) -> float:
    """Return how many equal units would be spread as these are; 0 without any information.

    It is (sum I)^2 / sum I^2, as for the effective sample size. The exponential of the
    entropy of the shares is more common, but a floor buys more of it: with 1.37, 1.23,
    1.03, 0.93, 0.59 and 0.46 nats in six units and 0.02 nats in each of 26, this number
    is 6.4 and the other one 8.6.

    Args:
        information: nats of each unit, (latent,).
    """
    squares = float(information.square().sum())
    if squares < _NO_INFORMATION:
        return 0.0
    return max(1.0, float(information.sum()) ** 2 / squares)  # below 1 by rounding alone
