"""Attributes: directions of the latent along which labelled texts differ.

The direction is the difference of the class means of posterior means, so that a
step of strength 1 is as far as the classes lie apart (Shen et al. 2020, "Educating
Text Autoencoders", section 5.3, after Mikolov et al. 2013). How well the latent
tells the classes apart is cross-validated: along the direction alone, and by a
logistic regression on all of z.
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

from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import encode
from textvae.runs.fitted import load_fitted, save_fitted
from textvae.runtime.extras import check_installed

ATTRIBUTE_KIND = "attribute"


MAX_FOLDS, FOLDS_SEED = 5, 0  # of the cross-validation; fewer folds where a class has fewer texts


_Float32Array = NDArray[np.float32]


_BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Attribute:
    """A direction of one model's latent, and how well it was found there.

    `direction`, (latent,), leads from the mean of the texts labelled `away` to
    that of those labelled `towards`. The four figures are means over `folds`
    held-out parts, 0 to 1; `chance` is the accuracy of always naming the larger class.
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
    def record(self) -> dict[str, Any]:
        """All but the direction."""
        return {name: value for name, value in asdict(self).items() if name != "direction"}


def fit_attribute(
    bundle: Bundle,
    texts: Sequence[str],
    labels: Sequence[Any],
    towards: str | None = None,
    progress: bool = False,
) -> Attribute:
    """Find the direction from texts of other labels to those labelled `towards`.

    Args:
        labels: one for each text; numbers are read as text.
        towards: of two labels, by default the one that sorts last ("positive", "1", "present").

    Raises:
        DataError: a label is missing, there is one class only, or a class has one text.
        ConfigError: `towards` is no label, or none is given and there are more than two; scikit-learn is missing.
    """
    check_installed("uses", "attributes", "sklearn")
    names = validate_labels(texts, labels)
    towards = _choose_target_label(names, towards)
    truth = np.array([name == towards for name in names])
    for count, what in (
        (int(truth.sum()), repr(towards)),
        (int((~truth).sum()), f"other than {towards!r}"),
    ):
        if count < 2:
            raise DataError(
                f"{count} text is labelled {what}; cross-validation needs 2 of each class at least."
            )
    z = encode(bundle, texts, progress=progress)
    others = sorted(set(names) - {towards})
    return Attribute(
        torch.from_numpy(_mean_difference(z, truth)),
        others[0] if len(others) == 1 else f"not {towards}",
        towards,
        int((~truth).sum()),
        int(truth.sum()),
        **cross_validate(z, truth),
        chance=float(max(truth.mean(), 1 - truth.mean())),
    )


def validate_labels(texts: Sequence[str], labels: Sequence[Any]) -> list[str]:
    """Return the labels as text.

    Raises:
        DataError: there are none, not as many as texts, or one is missing.
    """
    if len(texts) == 0:
        raise DataError("there are no texts; give some of each class.")
    if len(texts) != len(labels):
        raise DataError(
            f"there are {len(texts)} texts and {len(labels)} labels; wanted is one label for each text."
        )
    for place, label in enumerate(labels):
        if label is None or label != label or not str(label).strip():
            raise DataError(
                f"text {place} ({texts[place]!r}) has no label; give it one or leave it out."
            )
    return [str(label).strip() for label in labels]


def _choose_target_label(names: Sequence[str], towards: str | None) -> str:
    """Return the label to lead to."""
    counts = Counter(names)
    known = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())[:10])
    if len(counts) < 2:
        raise DataError(f"there is one class only: {known}; an attribute is what tells two apart.")
    if towards is None and len(counts) > 2:
        raise ConfigError(
            f"there are {len(counts)} labels: {known} ...; say which the direction leads to: towards."
        )
    if towards is not None and towards not in counts:
        raise ConfigError(f"towards = {towards!r} is no label here; there are {known}.")
    return max(counts) if towards is None else towards


def _mean_difference(z: _Float32Array, truth: _BoolArray) -> _Float32Array:
    """Return the mean of z where `truth` holds minus that of the others, (latent,)."""
    difference: _Float32Array = (z[truth].mean(0) - z[~truth].mean(0)).astype(np.float32)
    return difference


def cross_validate(z: _Float32Array, truth: _BoolArray) -> dict[str, Any]:
    """Return the cross-validated accuracy and AUROC of the direction, and of a logistic regression on all of z."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = int(min(MAX_FOLDS, truth.sum(), (~truth).sum()))
    figures = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=FOLDS_SEED).split(
        z, truth
    ):
        direction = _mean_difference(z[train], truth[train])
        middle = (z[train][truth[train]].mean(0) + z[train][~truth[train]].mean(0)) / 2
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            z[train], truth[train]
        )
        figures.append(
            [
                value
                for scores in (
                    (z[test] - middle) @ direction,
                    regression.decision_function(z[test]),
                )
                for value in (
                    ((scores > 0) == truth[test]).mean(),
                    roc_auc_score(truth[test], scores),
                )
            ]
        )
    keys = ("accuracy", "auroc", "regression_accuracy", "regression_auroc")
    return {"folds": folds, **dict(zip(keys, np.mean(figures, axis=0).tolist(), strict=True))}


def save_attribute(folder: str | Path, bundle: Bundle, attribute: Attribute) -> None:
    """Save an attribute with the model it belongs to."""
    save_fitted(
        folder, bundle, ATTRIBUTE_KIND, attribute.record, {"direction": attribute.direction}
    )


def load_attribute(folder: str | Path, bundle: Bundle) -> Attribute:
    """Load an attribute.

    Raises:
        CheckpointError: there is none, it is damaged, or was fitted on another model.
    """
    record, tensors = load_fitted(folder, bundle, ATTRIBUTE_KIND)
    return Attribute(
        tensors["direction"],
        **{name: record[name] for name in Attribute.__annotations__ if name in record},
    )
