"""Attributes: directions of the latent along which labelled texts differ.

The direction is the difference of the class means of posterior means, so that a
step of strength 1 is as long as the distance between the classes (Shen et al. 2020,
"Educating Text Autoencoders", section 5.3, after Mikolov et al. 2013). Cross-validation
measures how well the latent separates the classes: along the direction alone, and by a
logistic regression on all of z. Numbers in place of labels give a direction along which
the number grows (numeric_attribute.py).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.data.labels import check_spelling, list_label_names
from textvae.data.tables import as_label
from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import encode
from textvae.runs.fitted import explain_damage, load_fitted, save_fitted
from textvae.runtime.extras import check_installed
from textvae.terminal import quote_value
from textvae.uses.numeric_attribute import (
    NUMERIC_RECORD_TYPES,
    NumericAttribute,
    are_quantities,
    fit_numeric_attribute,
)

ATTRIBUTE_KIND = "attribute"

# The folds of the cross-validation; there are fewer if the smaller class has fewer texts.
MAX_FOLDS = 5
FOLDS_SEED = 0

_MAX_LABELS_IN_MESSAGE = 10

# The entries of a saved attribute, and their types.
_RECORD_TYPES: dict[str, Any] = {
    **dict.fromkeys(("away", "towards"), str),
    **dict.fromkeys(("texts_away", "texts_towards", "folds"), int),
    **dict.fromkeys(
        ("accuracy", "auroc", "regression_accuracy", "regression_auroc", "chance"), int | float
    ),
}

_Float32Array = NDArray[np.float32]
_BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Attribute:
    """A direction of one model's latent, and how well it separates two classes.

    `direction`, (latent,), points from the mean of the texts labelled `away` to
    the mean of those labelled `towards`. The four scores are means over the `folds`
    held-out parts, 0 to 1; `chance` is the accuracy of always predicting the larger
    class.
    """

    direction: Tensor
    away: str
    towards: str
    texts_away: int
    texts_towards: int
    folds: int
    accuracy: float
    auroc: float
    regression_accuracy: float
    regression_auroc: float
    chance: float

    @property
    def record(self) -> dict[str, str | int | float]:
        """All fields but the direction."""
        return {name: value for name, value in asdict(self).items() if name != "direction"}


def fit_attribute(
    bundle: Bundle,
    texts: Sequence[str],
    labels: Sequence[object],
    towards: str | None = None,
    progress: bool = False,
) -> Attribute | NumericAttribute:
    """Find the direction from texts with other labels to texts labelled `towards`.

    More than two different numbers, without `towards`, give the direction along which the
    number grows.

    Args:
        labels: one for each text; with `towards`, numbers are names of classes.
        towards: by default, of two labels, the one that sorts last ("positive", "1",
            "present").

    Raises:
        DataError: a label is missing, there is one class only, or a class has one text.
        ConfigError: `towards` is not among the labels, or is None with more than two
            labels; or scikit-learn is not installed.
    """
    check_installed("insight", "attributes", "sklearn")
    if towards is None and are_quantities(labels) and len(texts) == len(labels):
        return fit_numeric_attribute(bundle, texts, labels, progress)
    names = validate_labels(texts, labels)
    check_spelling(names)
    towards = _choose_target_label(names, towards)
    is_towards = np.array([name == towards for name in names])
    texts_towards = int(is_towards.sum())
    texts_away = int((~is_towards).sum())
    _check_class_size(texts_towards, repr(towards))
    _check_class_size(texts_away, f"other than {towards!r}")
    z = encode(bundle, texts, progress=progress)
    others = sorted(set(names) - {towards})
    return Attribute(
        direction=torch.from_numpy(_mean_difference(z, is_towards)),
        away=others[0] if len(others) == 1 else f"not {towards}",
        towards=towards,
        texts_away=texts_away,
        texts_towards=texts_towards,
        **cross_validate(z, is_towards),
        chance=float(max(is_towards.mean(), 1 - is_towards.mean())),
    )


def save_attribute(
    folder: str | Path, bundle: Bundle, attribute: Attribute | NumericAttribute
) -> None:
    """Save an attribute together with a hash of the model it belongs to."""
    tensors = {"direction": attribute.direction}
    save_fitted(folder, bundle, ATTRIBUTE_KIND, attribute.record, tensors)


def load_attribute(folder: str | Path, bundle: Bundle) -> Attribute | NumericAttribute:
    """Load a saved attribute.

    Raises:
        CheckpointError: it is missing or damaged, or was fitted on another model.
    """
    record, tensors = load_fitted(folder, bundle, ATTRIBUTE_KIND)
    # Only an attribute of classes leads towards one of them.
    attribute: type[Attribute] | type[NumericAttribute] = NumericAttribute
    types = NUMERIC_RECORD_TYPES
    if "towards" in record:
        attribute = Attribute
        types = _RECORD_TYPES
    with explain_damage(folder):
        fields = {name: record[name] for name in types}
        for name, kind in types.items():
            if isinstance(fields[name], bool) or not isinstance(fields[name], kind):
                raise TypeError(f"{name} = {fields[name]!r}")
        direction = tensors["direction"]
        if direction.shape != (bundle.model.config.latent_dim,):
            raise ValueError(f"the direction has the shape {tuple(direction.shape)}")
        return attribute(direction.float(), **fields)


def validate_labels(texts: Sequence[str], labels: Sequence[object]) -> list[str]:
    """Return the labels as strings.

    Raises:
        DataError: there are no texts, their number differs from that of the labels, or a
            label is missing.
    """
    if len(texts) == 0:
        raise DataError("there are no texts; give at least two for each class.")
    if len(texts) != len(labels):
        raise DataError(
            f"got {len(texts)} texts and {len(labels)} labels; expected one label per text."
        )
    names = list_label_names(labels)
    for index, name in enumerate(names):
        if not name:
            raise DataError(
                f"text {index} ({texts[index]!r}) has no label; add one or leave the text out."
            )
    return names


def cross_validate(z: _Float32Array, truth: _BoolArray) -> dict[str, Any]:
    """Return how well z separates the classes, from 0 to 1, averaged over held-out folds.

    Keys: `folds`, their number; `accuracy` and `auroc` of the direction alone;
    `regression_accuracy` and `regression_auroc` of a logistic regression on all of z.

    Shapes:
        z: (n, latent), posterior means; truth: (n,), True for one of the two classes
    """
    from sklearn.model_selection import StratifiedKFold

    folds = int(min(MAX_FOLDS, truth.sum(), (~truth).sum()))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=FOLDS_SEED)
    fold_scores = [
        _score_fold(z[train], truth[train], z[test], truth[test])
        for train, test in splitter.split(z, truth)
    ]
    keys = ("accuracy", "auroc", "regression_accuracy", "regression_auroc")
    means = np.mean(fold_scores, axis=0).tolist()
    return {"folds": folds, **dict(zip(keys, means, strict=True))}


def _score_fold(
    z: _Float32Array, truth: _BoolArray, test_z: _Float32Array, test_truth: _BoolArray
) -> list[float]:
    """Return accuracy and AUROC on held-out points: of the direction, then of a regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    direction = _mean_difference(z, truth)
    # A point lies on the side of the class whose mean is nearer along the direction.
    midpoint = (z[truth].mean(0) + z[~truth].mean(0)) / 2
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    regression.fit(z, truth)
    return [
        *_accuracy_and_auroc((test_z - midpoint) @ direction, test_truth),
        *_accuracy_and_auroc(regression.decision_function(test_z), test_truth),
    ]


def _accuracy_and_auroc(scores: NDArray[Any], truth: _BoolArray) -> tuple[float, float]:
    """Return accuracy (above 0 means True) and AUROC of scores, (n,)."""
    from sklearn.metrics import roc_auc_score

    accuracy = ((scores > 0) == truth).mean()
    return accuracy, roc_auc_score(truth, scores)


def _mean_difference(z: _Float32Array, truth: _BoolArray) -> _Float32Array:
    """Return the mean of z where `truth` is True minus the mean of the others, (latent,)."""
    difference: _Float32Array = (z[truth].mean(0) - z[~truth].mean(0)).astype(np.float32)
    return difference


def _choose_target_label(names: Sequence[str], towards: str | None) -> str:
    """Return the label that the direction points to.

    Raises:
        DataError: all labels are the same.
        ConfigError: `towards` is not among the labels, or is None with more than two.
    """
    counts = Counter(names)
    listed = sorted(counts.items())[:_MAX_LABELS_IN_MESSAGE]
    known = ", ".join(f"{name} ({count})" for name, count in listed)
    if len(counts) < 2:
        raise DataError(f"there is one class only: {known}; an attribute needs at least two.")
    if towards is None and len(counts) > 2:
        raise ConfigError(
            f"there are {len(counts)} labels: {known} ...; "
            "choose with `towards` which one the direction points to. (For the direction along "
            "which a number grows, pass numbers.)"
        )
    chosen = None if towards is None else as_label(towards)
    if chosen is not None and chosen not in counts:
        raise ConfigError(
            f"towards = {quote_value(towards)} is not among the labels; choose from {known}."
        )
    return max(counts) if chosen is None else chosen


def _check_class_size(count: int, label: str) -> None:
    """Refuse a class that cannot be in both parts of a fold.

    Raises:
        DataError: it has fewer than two texts.
    """
    if count < 2:
        raise DataError(
            f"{count} text is labelled {label}; cross-validation needs at least 2 per class."
        )
