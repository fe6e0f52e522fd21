"""Active units: latent dimensions whose posterior mean varies between sentences.

A unit is active if the variance (n - 1) of its posterior mean over the evaluation
set is at least 0.01 (Burda et al. 2016, arXiv:1509.00519). The curve shows how
much the count depends on this threshold.
"""

from typing import Any

import torch

from textvae.evaluation.measures.inputs import EvaluationInput

ACTIVE_UNIT_VARIANCE = 0.01
_VARIANCE_THRESHOLDS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]


def active_units(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `active_units`, `latent_dim`, and the counts at other thresholds.

    A single sentence has no variance and therefore no active unit.
    """
    mean = inputs.outputs.mean
    variance = torch.zeros(mean.shape[1])
    if len(mean) > 1 and mean.shape[1]:
        variance = mean.var(0)
    counts = [int((variance >= threshold).sum()) for threshold in _VARIANCE_THRESHOLDS]
    return {
        "active_units": counts[_VARIANCE_THRESHOLDS.index(ACTIVE_UNIT_VARIANCE)],
        "latent_dim": mean.shape[1],
        "active_units_thresholds": _VARIANCE_THRESHOLDS,
        "active_units_curve": counts,
    }
