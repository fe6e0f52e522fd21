"""One row a dimension, and the scores of the whole."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from textvae.errors import DataError
from textvae.evaluation.measures.active_units import ACTIVE_UNIT_VARIANCE
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior, require_latent
from textvae.model.posteriors import Distribution
from textvae.runtime.extras import check_installed
from textvae.uses.insight.associations import compute_associations, find_words_at_ends
from textvae.uses.insight.columns import LENGTH_COLUMN, PropertyColumn, build_column, count_words
from textvae.uses.insight.disentanglement import score_factors

_MIN_TEXTS = 20


_InsightRecord = dict[str, Any]


def insight(
    bundle: Bundle,
    texts: Sequence[str],
    columns: Mapping[str, Sequence[Any]] | None = None,
    progress: bool = False,
) -> dict[str, list[_InsightRecord]]:
    """Return what each dimension does on these texts.

    `dimensions`, in their order: `dimension` (from 0), `kl` in nats a text and `kl_share` of the whole (None where
    the KL is no sum over dimensions), `variance` of the posterior mean, `is_active` (at least 0.01), `associations`
    with the length and each column, strongest first, and the words at its ends, `low` and `high`. An association's
    `p_value` is corrected for the number of them all (Bonferroni).

    `scores`, where columns are given: see `textvae.uses.insight.disentanglement`.

    Args:
        columns: by name, a value for each text: numbers, or names of classes.

    Raises:
        DataError: too few texts, a blank one, or a column that is of no use.
        ConfigError: the model is a language model, or scikit-learn is missing.
    """
    require_latent(bundle)
    check_installed("uses", "insights", "sklearn")
    if len(texts) < _MIN_TEXTS:
        raise DataError(
            f"there are {len(texts)} texts; wanted are {_MIN_TEXTS} at least, better some thousand."
        )
    chosen = _build_columns(texts, columns or {})
    q = posterior(bundle, texts, progress=progress)
    z = q.mean.numpy()
    tables = [compute_associations(z, column) for column in chosen]
    tests, words = z.shape[1] * len(chosen), find_words_at_ends(z, texts)
    dimensions = [
        {
            **row,
            "associations": _rank_associations([table[at] for table in tables], tests),
            **words[at],
        }
        for at, row in enumerate(_describe_dimensions(bundle, q))
    ]
    return {"dimensions": dimensions, "scores": score_factors(z, chosen) if columns else []}


def _build_columns(
    texts: Sequence[str], columns: Mapping[str, Sequence[Any]]
) -> list[PropertyColumn]:
    """Return the columns, and before them the length, unless one has its name."""
    lengths = count_words(texts)
    given = [build_column(name, texts, values) for name, values in columns.items()]
    if LENGTH_COLUMN in columns or len(set(lengths)) < 2:
        return given
    return [PropertyColumn(LENGTH_COLUMN, np.array(lengths, dtype=np.float64), True), *given]


def _describe_dimensions(bundle: Bundle, q: Distribution) -> list[_InsightRecord]:
    """Return of each dimension what it carries."""
    latent, shares, kl = q.mean.shape[1], [None] * q.mean.shape[1], [None] * q.mean.shape[1]
    if bundle.model.prior.is_factorized and q.has_density:
        with torch.inference_mode():
            nats = bundle.prior.kl(
                q.map(lambda value: value.to(bundle.device)), q.mean.to(bundle.device)
            ).mean(0)
        if len(nats) == latent:
            kl, shares = nats.tolist(), (nats / nats.sum().clamp_min(1e-12)).tolist()
    variance = q.mean.var(0).tolist()
    return [
        {
            "dimension": at,
            "kl": kl[at],
            "kl_share": shares[at],
            "variance": variance[at],
            "is_active": is_active,
        }
        for at, is_active in enumerate(value >= ACTIVE_UNIT_VARIANCE for value in variance)
    ]


def _rank_associations(found: Sequence[_InsightRecord], tests: int) -> list[_InsightRecord]:
    """Return a dimension's associations, strongest first, their p-values corrected for the number of tests."""
    corrected = [{**one, "p_value": min(1.0, one["p_value"] * tests)} for one in found]
    return sorted(corrected, key=lambda one: -abs(one["value"]))
