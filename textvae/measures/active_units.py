"""Active units: dimensions whose posterior mean varies over the sentences.

A unit is active if the variance (n - 1) of its mean over the evaluation set is
at least 0.01 (Burda et al. 2016, arXiv:1509.00519).
"""

from textvae.measures.evidence import Subject

THRESHOLD = 0.01


def active_units(subject: Subject) -> dict[str, float]:
    """Return `active_units` and, beside it, `latent_dim`."""
    mean = subject.evidence.mean
    count = int((mean.var(0) >= THRESHOLD).sum()) if len(mean) > 1 and mean.shape[1] else 0
    return {"active_units": count, "latent_dim": mean.shape[1]}
