"""The record of each run of a comparison: what was asked, what it cost, what came of it."""

from pathlib import Path
from typing import Any

from textvae.comparison.matrix import Trial
from textvae.run import Run


def record_of(trial: Trial, reason: str | None) -> dict[str, Any]:
    """Return a run's record; that of a run that failed has its `reason` and no measures."""
    asked = {"config": trial.row, "corpus": trial.corpus, "seed": trial.seed, "run": str(trial.folder)}
    if reason:
        return {**asked, "reason": reason}
    return {**asked, "reason": None, **measures_of(trial.folder)}


def measures_of(folder: Path) -> dict[str, Any]:
    """Return what an evaluated run's folder says of it."""
    run = Run(folder)
    training = run.read("training.json")
    cost = {"minutes": training.get("seconds", 0.0) / 60, "steps": training.get("steps")}
    return {**cost, **run.read("measures.json")}
