"""The schedules of a comparison's runs: equal steps, and remarks on runs that were cut short.

A language model that is compared with a VAE should have as many steps, and a schedule of
its own that ends: a checkpoint from the middle of a schedule, where the learning rate is
still high, is worse than the end of a shorter one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from textvae.comparison.matrix import Trial
from textvae.comparison.report.table import TableRow
from textvae.errors import ConfigError
from textvae.runs.run import Run
from textvae.settings.reading import read_settings

# Below this share of the peak, the learning rate no longer changes a model much.
_MAX_FINAL_LEARNING_RATE = 0.05
_MAX_STEP_RATIO = 1.05  # rows with more unequal numbers of steps are not compared at equal steps


def split_reference(trials: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """Return the runs of the first config, whose steps the others should have, and the others.

    Raises:
        ConfigError: one of the others has a corpus that the first config is not trained on.
    """
    config = trials[0].config
    reference = [trial for trial in trials if trial.config == config]
    others = [trial for trial in trials if trial.config != config]
    known = {_name_data(trial) for trial in reference}
    for trial in others:
        if _name_data(trial) not in known:
            raise ConfigError(
                f"--equal-steps: {trial.config} has the corpus {trial.corpus}, on which {config} is "
                "not trained; pass the same corpora to all configs with --corpora."
            )
    return reference, others


def _name_data(trial: Trial) -> tuple[str, int]:
    """Return the corpus of a run, by its whole path if it has one, and the run's seed."""
    path = Path(trial.corpus)
    return str(path.resolve()) if path.exists() else trial.corpus, trial.seed


def match_steps(
    trials: Sequence[Trial], reference: Sequence[Trial]
) -> tuple[list[Trial], dict[str, str]]:
    """Return runs with the number of steps of the reference run of the same corpus and seed.

    Steps are the only bound of their schedules, so each learning rate falls to zero over exactly
    these steps. A language model keeps its last checkpoint, the end of that schedule.

    Returns:
        The runs, and the reason of each run that has no finished reference, by its name.
    """
    steps = {
        _name_data(trial): Run(trial.folder).read_json("training.json").get("steps")
        for trial in reference
        if Run(trial.folder).is_finished()
    }
    matched = []
    failures = {}
    for trial in trials:
        count = steps.get(_name_data(trial))
        if count is None:
            failures[trial.name] = "the run whose number of steps it should have failed"
        else:
            matched.append(_bound_by_steps(trial, count))
    return matched, failures


def _bound_by_steps(trial: Trial, steps: int) -> Trial:
    """Return a run that is bounded by this number of steps alone."""
    overrides = (
        *trial.overrides,
        f"training.steps={steps}",
        "training.epochs=null",
        "training.max_minutes=null",
    )
    if _is_language_model(trial):
        overrides = (*overrides, "training.keep=last")
    settings = read_settings(trial.config, overrides).model_dump(mode="json")
    return replace(trial, overrides=overrides, settings=settings)


def list_language_models(trials: Sequence[Trial]) -> set[str]:
    """Return the names of the rows that are language models."""
    return {trial.row_name for trial in trials if _is_language_model(trial)}


def _is_language_model(trial: Trial) -> bool:
    """Return whether a run trains a language model."""
    return bool(trial.settings["objective"]["kind"] == "language_model")


def describe_schedules(rows: Sequence[TableRow], language_models: set[str]) -> Iterator[str]:
    """Yield a remark on each row that was cut short, or that has another number of steps.

    Args:
        language_models: the names of the rows that are language models.
    """
    for row in rows:
        yield from _describe_cut(row)
    for row in rows:
        others = [other for other in rows if other.corpus == row.corpus and other != row]
        if row.name in language_models:
            yield from _describe_unequal_steps(row, others)


def _describe_cut(row: TableRow) -> Iterator[str]:
    """Yield a remark if checkpoints from before the end were kept, or were better than the last."""
    # A run of which no evaluation could be the best has no best step.
    pairs = [
        (record["best_step"], record["kept_step"])
        for record in row.finished_records
        if record.get("best_step") and record.get("kept_step")
    ]
    best, kept = (fmean(steps) for steps in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    if best < kept:
        yield (
            f"{row.name}: best on the validation split at step {best:,.0f} and kept at step "
            f"{kept:,.0f} on average; a schedule that ends at the former (training.steps) may give a "
            "better model"
        )
    rate = row.mean("kept_learning_rate")
    if rate is None or rate <= _MAX_FINAL_LEARNING_RATE:
        return
    yield (
        f"{row.name}: kept at step {row.mean('kept_step'):,.0f} of {row.mean('steps'):,.0f} on "
        f"average, with {rate:.0%} of the peak learning rate left; a schedule that ends there "
        "(training.steps) may give a better model"
    )


def _describe_unequal_steps(row: TableRow, others: Sequence[TableRow]) -> Iterator[str]:
    """Yield a remark for each row that has another number of steps than a language model."""
    own = row.mean("steps")
    for other in others:
        steps = other.mean("steps")
        if not own or not steps:
            continue
        if max(own, steps) > _MAX_STEP_RATIO * min(own, steps):
            yield (
                f"{row.name}: {own:,.0f} steps, and {other.name} has {steps:,.0f}; "
                "--equal-steps gives both as many"
            )
