"""Disentanglement: whether what is known of the texts stands in single dimensions of z.

- MIG (Chen et al. 2018, arXiv:1802.04942): how much more one dimension tells of a
  column than any other, as a share of the column's entropy; means are cut into
  20 bins of like width, as Locatello et al. 2019 (arXiv:1811.12359) do.
- SAP (Kumar et al. 2018, arXiv:1711.00848): how much better a linear classifier
  on one dimension alone is than on any other, on held-out texts.
- DCI (Eastwood & Williams 2018): from the importances of a random forest on all
  dimensions: whether a dimension serves one column (disentanglement), whether a
  column is served by one dimension (completeness), and the forest's held-out
  accuracy (informativeness).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.extras import check_installed
from textvae.uses.insight.columns import Column

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]
BINS, TREES, DEPTH, SEED = 20, 50, 10, 0


def disentanglement(means: Numbers, columns: Sequence[Column]) -> dict[str, Any]:
    """Score the posterior means, (n, latent), by columns.

    Returns:
        `mig` and `sap`, means over the columns, 0 to 1; `dci_disentanglement` (None
        for one column), `dci_completeness`, `dci_informativeness`, 0 to 1; and
        `columns`, of each its `dimension`, the one that tells most of it, with
        `mig`, `sap`, `accuracy` of the forest and `chance`, of the largest class.
    """
    check_installed("uses", "disentanglement scores", "sklearn")
    told = np.stack([information(means, column.classes) for column in columns])
    right = np.stack([lone_accuracies(means, column.classes) for column in columns])
    forests = [forest(means, column.classes) for column in columns]
    importances = np.stack([weights for weights, _ in forests], axis=1)
    records = {
        column.name: {
            "dimension": int(told[place].argmax()),
            "mig": gap(told[place]),
            "sap": gap(right[place]),
            "accuracy": forests[place][1],
            "chance": float(np.bincount(column.classes).max() / len(column.classes)),
        }
        for place, column in enumerate(columns)
    }
    return {
        "mig": float(np.mean([record["mig"] for record in records.values()])),
        "sap": float(np.mean([record["sap"] for record in records.values()])),
        "dci_disentanglement": concentration(importances) if len(columns) > 1 else None,
        "dci_completeness": float(np.mean([concentration(row[None]) for row in importances.T])),
        "dci_informativeness": float(np.mean([accuracy for _, accuracy in forests])),
        "columns": records,
    }


def gap(values: Numbers) -> float:
    """Return by how much the largest leads; a latent of one dimension leads over nothing."""
    ordered = np.sort(values)[::-1]
    return float(ordered[0] - (ordered[1] if len(ordered) > 1 else 0.0))


def information(means: Numbers, classes: Classes) -> Numbers:
    """Return the mutual information of each dimension with the classes, over their entropy, (latent,)."""
    from sklearn.metrics import mutual_info_score

    entropy = mutual_info_score(classes, classes)
    binned = [np.digitize(row, np.histogram_bin_edges(row, BINS)[1:-1]) for row in means.T]
    return np.array([mutual_info_score(classes, row) / entropy for row in binned])


def halves(classes: Classes) -> tuple[Classes, Classes]:
    """Return the places to learn from and those to be judged on, each class in both."""
    from sklearn.model_selection import StratifiedKFold

    kept = StratifiedKFold(2, shuffle=True, random_state=SEED)
    train, test = next(iter(kept.split(classes, classes)))
    return train, test


def lone_accuracies(means: Numbers, classes: Classes) -> Numbers:
    """Return the balanced held-out accuracy of a linear classifier on each dimension alone, (latent,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    train, test = halves(classes)
    scaled = (means - means.mean(0)) / np.maximum(means.std(0), 1e-12)
    model = LogisticRegression(class_weight="balanced")
    columns = [scaled[:, place : place + 1] for place in range(means.shape[1])]
    guesses = [model.fit(column[train], classes[train]).predict(column[test]) for column in columns]
    return np.array([balanced_accuracy_score(classes[test], guess) for guess in guesses])


def forest(means: Numbers, classes: Classes) -> tuple[Numbers, float]:
    """Return the importance of each dimension for the classes, (latent,), which sum to 1, and the accuracy."""
    from sklearn.ensemble import RandomForestClassifier

    train, test = halves(classes)
    trees = RandomForestClassifier(TREES, max_depth=DEPTH, max_features=None, random_state=SEED).fit(
        means[train], classes[train]
    )
    return trees.feature_importances_, float((trees.predict(means[test]) == classes[test]).mean())


def concentration(shares: Numbers) -> float:
    """Return 1 - entropy of each row's shares, (rows, k), in units of log k, the rows weighted by their sums."""
    total = shares.sum(1, keepdims=True)
    chances = shares / np.maximum(total, 1e-12)
    entropy = -(chances * np.log(np.maximum(chances, 1e-12))).sum(1) / np.log(max(shares.shape[1], 2))
    return float(((1 - entropy) * total[:, 0]).sum() / max(total.sum(), 1e-12))
