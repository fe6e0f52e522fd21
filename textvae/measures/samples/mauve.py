"""MAUVE: how near the samples' distribution is to that of real text (Pillutla et al. 2021, arXiv:2102.01454).

Computed by the package mauve-text, as `pip install 'textvae[mauve]'` brings it, on features of the user's choice; by
default the model's own posterior means, so that it needs no other model. Papers use GPT-2's features: values on
others, or of other numbers of texts, are not comparable with theirs.
"""

from typing import Any

import numpy as np

from textvae.errors import ConfigError, DataError
from textvae.measures.evidence import Subject
from textvae.uses import encode


def mauve(subject: Subject) -> dict[str, Any]:
    """Return `mauve`, 0 to 1, and what its features are.

    Raises:
        ConfigError: the package is missing.
        DataError: the features are not one finite row a text.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        raise ConfigError("the measure mauve wants the package mauve-text: pip install 'textvae[mauve]'") from None
    found = compute_mauve(
        p_features=features(subject, subject.texts.real),
        q_features=features(subject, subject.texts.samples),
        seed=subject.seed % 2**31,
        verbose=False,
    )
    return {"mauve": float(found.mauve), "mauve_features": "given" if subject.settings.features else "posterior means"}


def features(subject: Subject, texts: list[str]) -> Any:
    """Return the features of texts, (n, features)."""
    given = subject.settings.features
    rows = np.asarray(given(texts) if given else encode(subject.bundle, texts))
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise DataError(f"features of {len(texts)} texts are of shape {rows.shape}; wanted is a finite row a text.")
    return rows
