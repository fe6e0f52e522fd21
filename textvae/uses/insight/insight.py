"""Describe each dimension of the latent, and score the latent as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch

from textvae.errors import DataError
from textvae.evaluation.measures.active_units import ACTIVE_UNIT_VARIANCE
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior, require_latent
from textvae.model.posteriors import DiagonalGaussian, Distribution
from textvae.model.priors.label_gaussian import ConditionalGaussian
from textvae.model.priors.standard_normal import StandardNormal
from textvae.runtime.extras import check_installed
from textvae.uses.insight.associations import compute_associations, find_words_at_ends
from textvae.uses.insight.columns import LENGTH_COLUMN, PropertyColumn, build_column, count_words
from textvae.uses.insight.disentanglement import score_factors
from textvae.uses.records import DimensionInsight, FactorScore, Insight

_MIN_TEXTS = 20

# A Gaussian's KL to them is a sum over dimensions.
_PRIORS_WITH_A_KL = (StandardNormal, ConditionalGaussian)

_InsightRecord = Mapping[str, Any]


def insight(
    bundle: Bundle,
    texts: Sequence[str],
    columns: Mapping[str, Sequence[object]] | None = None,
    progress: bool = False,
) -> Insight:
    """Return what each dimension encodes in these texts.

    `dimensions` has one record per dimension, in order. Keys: `dimension` (from 0);
    `kl` in nats per text and `kl_share` of the sum (None where the KL is not a sum over
    dimensions); `variance` of the posterior mean; `is_active` (variance at least 0.01);
    `associations` with the length and each column, strongest first; and `low` and
    `high`, the words at its ends. The `p_value` of an association is corrected for the
    number of all associations (Bonferroni).

    `scores` has one record per column, and one for all of them; see
    `textvae.uses.insight.disentanglement`. It is empty without columns.

    Args:
        columns: by name, one value per text: numbers, or names of classes.

    Raises:
        DataError: there are too few texts, a text is blank, or a column cannot be used.
        ConfigError: the model is a language model, or scikit-learn is not installed.
    """
    require_latent(bundle)
    check_installed("insight", "insights", "sklearn")
    if len(texts) < _MIN_TEXTS:
        raise DataError(
            f"got {len(texts)} texts, need at least {_MIN_TEXTS} (a few thousand recommended)."
        )
    properties = _build_columns(texts, columns or {})
    q = posterior(bundle, texts, progress=progress)
    z = q.mean.numpy()
    by_column = [compute_associations(z, column) for column in properties]
    words = find_words_at_ends(z, texts)
    test_count = z.shape[1] * len(properties)
    dimensions = []
    for record in describe_dimensions(bundle, q):
        dimension = record["dimension"]
        associations = [of_dimensions[dimension] for of_dimensions in by_column]
        ranked = _rank_associations(associations, test_count)
        dimensions.append({**record, "associations": ranked, **words[dimension]})
    scores = score_factors(z, properties) if columns else []
    return Insight(
        dimensions=cast(list[DimensionInsight], dimensions),
        scores=cast(list[FactorScore], scores),
    )


def _build_columns(
    texts: Sequence[str], columns: Mapping[str, Sequence[object]]
) -> list[PropertyColumn]:
    """Return the columns, and before them the length of the texts.

    The length is left out if a column has its name, or if all texts are equally long.
    """
    built = [build_column(name, texts, values) for name, values in columns.items()]
    lengths = count_words(texts)
    if LENGTH_COLUMN in columns or len(set(lengths)) < 2:
        return built
    return [PropertyColumn(LENGTH_COLUMN, np.array(lengths, dtype=np.float64), True), *built]


def describe_dimensions(bundle: Bundle, q: Distribution) -> list[_InsightRecord]:
    """Return a record of each dimension's KL and variance."""
    latent = q.mean.shape[1]
    kl: list[float | None] = [None] * latent
    kl_shares: list[float | None] = [None] * latent
    if isinstance(q, DiagonalGaussian) and isinstance(bundle.prior, _PRIORS_WITH_A_KL):
        with torch.inference_mode():
            q_on_device = q.map(lambda value: value.to(bundle.device))
            nats = bundle.prior.kl(q_on_device, q.mean.to(bundle.device)).mean(0)
        kl = nats.tolist()
        kl_shares = (nats / nats.sum().clamp_min(1e-12)).tolist()
    variances = q.mean.var(0).tolist()
    return [
        {
            "dimension": dimension,
            "kl": kl[dimension],
            "kl_share": kl_shares[dimension],
            "variance": variance,
            "is_active": variance >= ACTIVE_UNIT_VARIANCE,
        }
        for dimension, variance in enumerate(variances)
    ]


def _rank_associations(
    associations: Sequence[_InsightRecord], test_count: int
) -> list[_InsightRecord]:
    """Return a dimension's associations, strongest first, with p-values corrected for the tests."""
    corrected = [{**one, "p_value": min(1.0, one["p_value"] * test_count)} for one in associations]
    return sorted(corrected, key=lambda one: -abs(one["value"]))
