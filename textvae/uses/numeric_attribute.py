"""Numeric attributes: the direction of the latent along which a number grows.

It is the slope of a linear regression of z on the number, times the number's standard
deviation: a step of strength 1 is how the mean of z changes with one standard deviation
of the number. For two numbers, this is the direction between the means of two classes
but for its length. Cross-validation measures how well the number is predicted: from the
position along the direction alone, and by a ridge regression on all of z.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.data.labels import list_label_names
from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import encode

MAX_FOLDS = 5
FOLDS_SEED = 0

# The entries of a saved attribute, and their types.
NUMERIC_RECORD_TYPES: dict[str, Any] = {
    **dict.fromkeys(("texts", "folds"), int),
    **dict.fromkeys(("minimum", "maximum", "mean", "deviation"), int | float),
    **dict.fromkeys(("correlation", "r2", "regression_correlation", "regression_r2"), int | float),
}

_MIN_TEXTS = 6  # so that each fold of the cross-validation has two texts or more
_RIDGE_PENALTIES = np.logspace(-3, 4, 8)  # of which cross-validation chooses one

_Float32Array = NDArray[np.float32]
_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class NumericAttribute:
    """A direction of one model's latent, and how well a number is predicted from it.

    `direction`, (latent,), points to larger numbers. The measures are those of held-out
    predictions: their correlation with the number, and the share of its variance that they
    explain (R², below 0 if the mean of the number predicts better).

    Attributes:
        direction: the change of z for one standard deviation of the number.
        texts: how many texts it was fitted on.
        minimum, maximum, mean, deviation: of the numbers; `deviation` is their standard deviation.
        folds: the held-out parts.
        correlation, r2: of predictions from the position along the direction alone.
        regression_correlation, regression_r2: of a ridge regression on all of z.
    """

    direction: Tensor
    texts: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    folds: int
    correlation: float
    r2: float
    regression_correlation: float
    regression_r2: float

    @property
    def record(self) -> dict[str, int | float]:
        """All fields but the direction."""
        return {name: value for name, value in asdict(self).items() if name != "direction"}


def are_quantities(values: Sequence[object]) -> bool:
    """Return whether values are numbers, more than two different ones.

    Two numbers, such as 0 and 1, are more often the names of classes. Text is never a quantity,
    even if it spells a number.
    """
    if not all(is_number(value) for value in values):
        return False
    numbers = {float(value) for value in values}  # type: ignore[arg-type]
    return len(numbers - {math.nan}) > 2


def is_number(value: object) -> bool:
    """Return whether a value is a number; booleans, which Python treats as integers, are not."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def fit_numeric_attribute(
    bundle: Bundle, texts: Sequence[str], numbers: Sequence[object], progress: bool = False
) -> NumericAttribute:
    """Find the direction from texts with small numbers to texts with large ones.

    Args:
        numbers: one for each text.

    Raises:
        DataError: a number is missing or infinite, or there are too few texts.
    """
    values = _require_numbers(texts, numbers)
    z = encode(bundle, texts, progress=progress)
    return NumericAttribute(
        direction=torch.from_numpy(compute_slope(z, values)),
        texts=len(texts),
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        deviation=float(values.std()),
        **cross_validate_numbers(z, values),
    )


def compute_slope(z: _Float32Array, values: _Float64Array) -> _Float32Array:
    """Return the change of the mean of z for one standard deviation of the number, (latent,).

    Shapes:
        z: (n, latent), posterior means; values: (n,), not all the same
    """
    standardized = (values - values.mean()) / values.std()
    centered = z.astype(np.float64) - z.mean(0, dtype=np.float64)
    slope: _Float32Array = (standardized @ centered / len(values)).astype(np.float32)
    return slope


def cross_validate_numbers(z: _Float32Array, values: _Float64Array) -> dict[str, Any]:
    """Return how well held-out numbers are predicted from z.

    Keys: `folds`, their number; `correlation` and `r2` of the position along the direction;
    `regression_correlation` and `regression_r2` of a ridge regression on all of z.

    Shapes:
        z: (n, latent), posterior means; values: (n,)
    """
    from sklearn.model_selection import KFold

    folds = min(MAX_FOLDS, len(values) // 2)
    splitter = KFold(folds, shuffle=True, random_state=FOLDS_SEED)
    along = np.empty(len(values))
    by_regression = np.empty(len(values))
    for train, test in splitter.split(z):
        along[test] = _predict_along_direction(z[train], values[train], z[test])
        by_regression[test] = _predict_by_ridge(z[train], values[train], z[test])
    correlation, r2 = _score_predictions(along, values)
    regression_correlation, regression_r2 = _score_predictions(by_regression, values)
    return {
        "folds": folds,
        "correlation": correlation,
        "r2": r2,
        "regression_correlation": regression_correlation,
        "regression_r2": regression_r2,
    }


def _require_numbers(texts: Sequence[str], numbers: Sequence[object]) -> _Float64Array:
    """Return numbers as an array, (n,).

    Raises:
        DataError: one is missing or infinite, or there are too few.
    """
    for index, name in enumerate(list_label_names(numbers)):
        if not name:
            raise DataError(
                f"text {index} ({texts[index]!r}) has no number; add one or leave the text out."
            )
    values = np.asarray([float(number) for number in numbers], np.float64)  # type: ignore[arg-type]
    infinite = np.flatnonzero(~np.isfinite(values))
    if len(infinite):
        index = infinite[0]
        raise DataError(f"text {index} has the number {values[index]}; expected finite numbers.")
    if len(values) < _MIN_TEXTS:
        raise DataError(
            f"{len(values)} texts have numbers; a direction along a number needs at least "
            f"{_MIN_TEXTS}. Add texts."
        )
    return values


def _predict_along_direction(
    z: _Float32Array, values: _Float64Array, test_z: _Float32Array
) -> _Float64Array:
    """Return the numbers that a line predicts from the position along the fitted direction."""
    if not values.std():  # of the few texts of a fold, all may have the same number
        return np.full(len(test_z), values.mean())
    direction = compute_slope(z, values)
    position = z @ direction
    spread = position.std()
    if not spread:
        return np.full(len(test_z), values.mean())
    slope = np.mean((position - position.mean()) * (values - values.mean())) / spread**2
    return np.asarray(values.mean() + slope * (test_z @ direction - position.mean()), np.float64)


def _predict_by_ridge(
    z: _Float32Array, values: _Float64Array, test_z: _Float32Array
) -> _Float64Array:
    """Return the numbers that a ridge regression on all of z predicts."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), RidgeCV(_RIDGE_PENALTIES))
    regression.fit(z, values)
    return np.asarray(regression.predict(test_z), np.float64)


def _score_predictions(predicted: _Float64Array, values: _Float64Array) -> tuple[float, float]:
    """Return the correlation of predictions with the numbers, and R²."""
    unexplained = np.mean((values - predicted) ** 2) / values.var()
    correlation = 0.0
    if predicted.std():
        correlation = float(np.corrcoef(predicted, values)[0, 1])
    return correlation, float(1 - unexplained)
