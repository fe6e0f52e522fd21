"""Disentanglement: whether dimensions and known properties (factors) match one to one.

There are three scores. Each is 1 for a code with one dimension per factor and near 0 for
noise, and rotating a perfect code lowers each of them.

MIG (Chen et al. 2018, arXiv:1802.04942): the mutual information of a factor with its
most informative dimension minus that with the second, divided by the factor's
entropy. Here the posterior means are cut into 20 groups of equal size; Locatello et
al. 2019 (arXiv:1811.12359) cut them into bins of equal width. Factors that are numbers
with more than 10 values are cut into 10 groups.

SAP (Kumar et al. 2018, arXiv:1711.00848): the same difference, between scores of
predicting the factor from one dimension. For classes the score is the balanced held-out
accuracy of a linear support vector machine, scaled so that chance is 0 and perfect is 1
(with K classes, the paper's score is (K - 1) / K times this one); for numbers, the
squared correlation.

DCI (Eastwood and Williams 2018): computed from the importances of a random forest that
predicts a factor from all dimensions. Completeness is 1 minus the entropy of a factor's
importances over dimensions. Disentanglement is 1 minus the entropy of a dimension's
importances over factors, averaged with the dimensions' importances as weights; it is
None for one factor. Informativeness is the forest's held-out score, scaled as for SAP,
or R^2 for numbers.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.uses.insight.columns import PropertyColumn, group_by_quantile

CODE_GROUPS = 20
FACTOR_GROUPS = 10

FOREST_TREES = 50
MIN_TEXTS_PER_LEAF = 10  # fewer for a small set of texts
DISENTANGLEMENT_SEED = 0

_MAX_TEXTS_PER_TREE = 5000  # bounds the time on large corpora

_AVERAGED_SCORES = ("mig", "sap", "completeness", "informativeness")

_Float32Array = NDArray[np.float32]
_Float64Array = NDArray[np.float64]


def score_factors(z: _Float32Array, columns: Sequence[PropertyColumn]) -> list[dict[str, Any]]:
    """Return one record per factor, and a last one named `all` with their means.

    Keys: `factor`, `best_dimension` and `best` (the highest single-dimension score, from
    which SAP subtracts the second), `mig`, `sap`, `completeness` and `informativeness`.
    The record `all` also has `disentanglement`.

    Shapes:
        z: (n, latent), of which half is held out for predictions
    """
    results = [score_factor(z, column) for column in columns]
    records = [record for record, _ in results]
    importances = np.array([values for _, values in results]).T
    means = {}
    for key in _AVERAGED_SCORES:
        means[key] = float(np.mean([record[key] for record in records]))
    return [*records, {"factor": "all", **means, "disentanglement": disentanglement(importances)}]


def score_factor(z: _Float32Array, column: PropertyColumn) -> tuple[dict[str, Any], _Float64Array]:
    """Return one factor's record and the importance of each dimension for it, (latent,)."""
    skills = single_dimension_skills(z, column)
    importances, informativeness = _fit_forest(z, column)
    record = {
        "factor": column.name,
        "best_dimension": int(skills.argmax()),
        "best": float(skills.max()),
        "mig": gap_to_second(normalized_information(z, column)),
        "sap": gap_to_second(skills),
        "completeness": concentration(importances),
        "informativeness": informativeness,
    }
    return record, importances


def gap_to_second(values: _Float64Array) -> float:
    """Return the largest value minus the second largest; a single value is compared with 0."""
    descending = np.sort(np.append(values, 0))[::-1]
    return float(descending[0] - descending[1])


def normalized_information(z: _Float32Array, column: PropertyColumn) -> _Float64Array:
    """Return each dimension's mutual information with the factor, (latent,).

    It is divided by the factor's entropy; for a factor that never varies, it is 0.
    """
    from scipy.stats import entropy
    from sklearn.metrics import mutual_info_score

    classes = column.to_classes(FACTOR_GROUPS)
    factor_entropy = float(entropy(np.bincount(classes)))
    if not factor_entropy > 0:
        return np.zeros(z.shape[1])
    nats = [
        mutual_info_score(classes, group_by_quantile(coordinate, CODE_GROUPS)) for coordinate in z.T
    ]
    return np.array(nats) / factor_entropy


def single_dimension_skills(z: _Float32Array, column: PropertyColumn) -> _Float64Array:
    """Return how well each dimension alone predicts the factor linearly, 0 to 1, (latent,)."""
    if column.is_numeric:
        return np.array([_correlation(coordinate, column.values) ** 2 for coordinate in z.T])
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    train, test = _split_halves(column)
    truth = column.targets
    skills = []
    for coordinate in z.T[:, :, None]:
        classifier = make_pipeline(
            StandardScaler(),
            LinearSVC(C=0.01, class_weight="balanced", random_state=DISENTANGLEMENT_SEED),
        )
        predicted = classifier.fit(coordinate[train], truth[train]).predict(coordinate[test])
        skills.append(balanced_accuracy_score(truth[test], predicted, adjusted=True))
    # An adjusted accuracy is negative where the prediction is worse than chance.
    return np.array(skills).clip(min=0)


def _correlation(coordinate: _Float32Array, values: NDArray[Any]) -> float:
    """Return Pearson's correlation; 0 for a coordinate that never varies."""
    if not np.ptp(coordinate):
        return 0.0
    return float(np.corrcoef(coordinate, values)[0, 1])


def _fit_forest(z: _Float32Array, column: PropertyColumn) -> tuple[_Float64Array, float]:
    """Return each dimension's importance for the factor, and the forest's held-out score.

    Importances, (latent,), sum to 1.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import balanced_accuracy_score, r2_score

    train, test = _split_halves(column)
    truth = column.targets
    options = {
        # Every split chooses among all dimensions. With random subsets, splits without the
        # best dimension would give its importance to others.
        "max_features": None,
        "min_samples_leaf": max(1, min(MIN_TEXTS_PER_LEAF, len(train) // 20)),
        "max_samples": min(len(train), _MAX_TEXTS_PER_TREE),
        "random_state": DISENTANGLEMENT_SEED,
    }
    if column.is_numeric:
        forest = RandomForestRegressor(FOREST_TREES, **options)
        metric = r2_score
    else:
        forest = RandomForestClassifier(FOREST_TREES, class_weight="balanced", **options)
        metric = partial(balanced_accuracy_score, adjusted=True)
    predicted = forest.fit(z[train], truth[train]).predict(z[test])
    return forest.feature_importances_, float(metric(truth[test], predicted))


def _split_halves(column: PropertyColumn) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the indices of the texts to train on and of those held out.

    Each class is split evenly between the halves.
    """
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(len(column.values)),
        test_size=0.5,
        random_state=DISENTANGLEMENT_SEED,
        stratify=None if column.is_numeric else column.targets,
    )
    return train, test


def concentration(weights: _Float64Array) -> float:
    """Return 1 minus the entropy of weights relative to its maximum.

    It is 1 if a single weight is above 0, and 0 if all weights are equal.
    """
    from scipy.stats import entropy

    if len(weights) < 2:
        return 1.0
    if not weights.sum() > 0:
        return 0.0
    return float(1 - entropy(weights) / np.log(len(weights)))


def disentanglement(importances: _Float64Array) -> float | None:
    """Return the mean concentration of dimensions over factors, weighted by importance.

    It is None for a single factor.

    Shapes:
        importances: (latent, factors)
    """
    if importances.shape[1] < 2:
        return None
    weights = importances.sum(1)
    if not weights.any():  # no dimension predicts any factor
        return 0.0
    return float(np.average([concentration(row) for row in importances], weights=weights))
