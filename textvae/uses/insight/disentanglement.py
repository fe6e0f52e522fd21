"""Disentanglement: whether dimensions of the latent and known properties (factors) match one to one.

Three scores, each 1 for a code with one dimension a factor and near 0 for
noise; what they share is that turning a perfect code lowers them.

MIG (Chen et al. 2018, arXiv:1802.04942): mutual information of a factor with
its most informative dimension less that with the next, over the factor's
entropy. Here of the posterior means, cut into 20 groups of like size, as
Locatello et al. 2019 (arXiv:1811.12359) do in equal widths; numbers of more than
10 values are cut into 10 groups.

SAP (Kumar et al. 2018, arXiv:1711.00848): the same gap between scores of
predicting the factor by one dimension. Of classes, the balanced held-out
accuracy of a linear support vector machine, scaled so that chance is 0 and all
is 1 (times (K - 1) / K it is the paper's); of numbers, the squared correlation.

DCI (Eastwood and Williams 2018): from the importances of a random forest that
predicts a factor from all dimensions. Completeness: 1 less the entropy of a
factor's importances over dimensions. Disentanglement: 1 less that of a
dimension's over factors, dimensions weighed by importance; None for one factor.
Informativeness: the forest's held-out skill, scaled as for SAP, R^2 for numbers.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.uses.insight.columns import PropertyColumn, group_by_quantile

CODE_GROUPS, FACTOR_GROUPS = 20, 10


FOREST_TREES, MIN_TEXTS_PER_LEAF, DISENTANGLEMENT_SEED = (
    50,
    10,
    0,
)  # of the forest; LEAF: least texts in a leaf, fewer of a small set


_MAX_TEXTS_PER_TREE = 5000  # that a tree learns from


_Float32Array = NDArray[np.float32]


_Float64Array = NDArray[np.float64]


def score_factors(z: _Float32Array, columns: Sequence[PropertyColumn]) -> list[dict[str, Any]]:
    """Return a record a factor, and one of `all`: their mean, and the disentanglement.

    Shapes:
        z: (n, latent), of which half is held out for predictions

    Keys: `factor`, `best_dimension` and `best` (its SAP score, before the gap), `mig`, `sap`, `completeness`,
    `informativeness`.
    """
    return _summarize_factors([score_factor(z, column) for column in columns])


def _summarize_factors(
    found: Sequence[tuple[dict[str, Any], _Float64Array]],
) -> list[dict[str, Any]]:
    """Return the factors' records, and the one of all of them from their importances, (latent,) each."""
    records, importances = (
        [record for record, _ in found],
        np.array([values for _, values in found]).T,
    )
    means = {
        key: float(np.mean([record[key] for record in records]))
        for key in ("mig", "sap", "completeness", "informativeness")
    }
    return [*records, {"factor": "all", **means, "disentanglement": disentanglement(importances)}]


def score_factor(z: _Float32Array, column: PropertyColumn) -> tuple[dict[str, Any], _Float64Array]:
    """Return one factor's record and the importance of each dimension for it, (latent,)."""
    single = single_dimension_skills(z, column)
    importances, informativeness = _fit_forest(z, column)
    record = {
        "factor": column.name,
        "best_dimension": int(single.argmax()),
        "best": float(single.max()),
        "mig": gap_to_second(normalized_information(z, column)),
        "sap": gap_to_second(single),
        "completeness": concentration(importances),
        "informativeness": informativeness,
    }
    return record, importances


def gap_to_second(values: _Float64Array) -> float:
    """Return by how much the largest is above the next."""
    largest = np.sort(np.append(values, 0))[::-1]
    return float(largest[0] - largest[1])


def normalized_information(z: _Float32Array, column: PropertyColumn) -> _Float64Array:
    """Return the mutual information of each dimension with the factor, over the factor's entropy, (latent,)."""
    from scipy.stats import entropy
    from sklearn.metrics import mutual_info_score

    classes = column.classes(FACTOR_GROUPS)
    nats = [
        mutual_info_score(classes, group_by_quantile(coordinate, CODE_GROUPS)) for coordinate in z.T
    ]
    return np.array(nats) / float(entropy(np.bincount(classes)))


def single_dimension_skills(z: _Float32Array, column: PropertyColumn) -> _Float64Array:
    """Return how well each dimension alone predicts the factor, linearly, (latent,)."""
    if column.is_numeric:
        return np.array([_correlation(coordinate, column.values) ** 2 for coordinate in z.T])
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    (train, test), truth = _split_halves(column), column.target
    skills = []
    for coordinate in z.T[:, :, None]:
        machine = make_pipeline(
            StandardScaler(),
            LinearSVC(C=0.01, class_weight="balanced", random_state=DISENTANGLEMENT_SEED),
        )
        predicted = machine.fit(coordinate[train], truth[train]).predict(coordinate[test])
        skills.append(balanced_accuracy_score(truth[test], predicted, adjusted=True))
    return np.array(skills).clip(min=0)


def _correlation(coordinate: _Float32Array, values: NDArray[Any]) -> float:
    """Return Pearson's correlation; 0 with a coordinate that never varies."""
    return float(np.corrcoef(coordinate, values)[0, 1]) if np.ptp(coordinate) else 0.0


def _fit_forest(z: _Float32Array, column: PropertyColumn) -> tuple[_Float64Array, float]:
    """Return each dimension's importance for the factor, (latent,), summing to 1, and the forest's held-out skill.

    Every split looks at all dimensions, so that one that tells all leaves nothing to the others.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import balanced_accuracy_score, r2_score

    (train, test), truth = _split_halves(column), column.target
    grow = RandomForestRegressor if column.is_numeric else RandomForestClassifier
    leaf = max(1, min(MIN_TEXTS_PER_LEAF, len(train) // 20))
    options = {
        "min_samples_leaf": leaf,
        "max_samples": min(len(train), _MAX_TEXTS_PER_TREE),
        "random_state": DISENTANGLEMENT_SEED,
    }
    weights = {} if column.is_numeric else {"class_weight": "balanced"}
    trees = grow(FOREST_TREES, max_features=None, **options, **weights)
    predicted = trees.fit(z[train], truth[train]).predict(z[test])
    skill = r2_score if column.is_numeric else partial(balanced_accuracy_score, adjusted=True)
    return trees.feature_importances_, float(skill(truth[test], predicted))


def _split_halves(column: PropertyColumn) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the places of texts to learn from and of those held out, classes shared evenly."""
    from sklearn.model_selection import train_test_split

    stratify = None if column.is_numeric else column.target
    train, test = train_test_split(
        np.arange(len(column.values)),
        test_size=0.5,
        random_state=DISENTANGLEMENT_SEED,
        stratify=stratify,
    )
    return train, test


def concentration(weights: _Float64Array) -> float:
    """Return 1 less the entropy of weights in units of the most it can be: 1 for one alone, 0 for equal ones."""
    from scipy.stats import entropy

    if len(weights) < 2:
        return 1.0
    return float(1 - entropy(weights) / np.log(len(weights))) if weights.sum() > 0 else 0.0


def disentanglement(importances: _Float64Array) -> float | None:
    """Return the mean concentration of dimensions over factors, weighed by importance, (latent, factors)."""
    if importances.shape[1] < 2:
        return None
    weights = importances.sum(1)
    if not weights.any():  # no factor could be told from any dimension
        return 0.0
    return float(np.average([concentration(row) for row in importances], weights=weights))
