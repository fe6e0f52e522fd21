"""What a search writes after each trial: the tables, the configs and the picture; and a line about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from textvae.runtime.files import remove
from textvae.settings.run import Settings
from textvae.tuning.folder import locate_run
from textvae.tuning.results import (
    BEST_FILE,
    FRONT_FOLDER,
    State,
    TunedTrial,
    TuningResult,
    list_front,
    write_config,
    write_tables,
)
from textvae.tuning.space import Parameter
from textvae.tuning.study import read_record
from textvae.tuning.words import apply_values

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def build_result(
    folder: Path,
    trials: Sequence[FrozenTrial],
    default: int,
    floor: float,
    *,
    has_two_objectives: bool,
) -> TuningResult:
    """Return what a search has found so far.

    Args:
        folder: the output folder.
        trials: those that count, in order; those that have not ended are left out.
        default: the number of the trial with the settings that the search started from.
        floor: of the KL, in nats per sentence.
        has_two_objectives: whether the score is the mean of two objectives.
    """
    # Ctrl-C may leave a trial that is queued, or that has only just begun.
    ended = [trial for trial in trials if trial.state in _STATES]
    tuned = [_read_trial(trial, floor, has_two_objectives) for trial in ended]
    front = list_front(tuned, floor)
    tuned = [replace(trial, is_on_front=trial.number in front) for trial in tuned]
    scores = {
        trial.number: trial.score
        for trial in tuned
        if trial.state == "complete" and trial.score is not None
    }
    best = min(scores, key=scores.__getitem__)
    by_number = {trial.number: trial for trial in tuned}
    return TuningResult(
        folder=folder,
        trials=tuned,
        best=by_number[best],
        default=by_number[default],
        kl_floor=floor,
        config=folder / BEST_FILE,
        run=locate_run(folder, best),
    )


def _read_trial(trial: FrozenTrial, floor: float, has_two_objectives: bool) -> TunedTrial:
    """Return a trial as the table has it."""
    record = read_record(trial)
    tuned = TunedTrial(
        number=trial.number,
        state=_STATES[trial.state],
        is_default=record.get("is_default", False),
        settings=record.get("values", trial.params),
        score=None,
        elbo=record.get("elbo"),
        reconstruction=record.get("reconstruction"),
        kl=record.get("kl"),
        active_units=record.get("active_units"),
        steps=record.get("steps", 0),
        seconds=record.get("seconds", 0.0),
        reason=record["reason"] if record else "its process was killed",
    )
    if tuned.bounds is None:
        return tuned
    if has_two_objectives:
        return replace(tuned, score=tuned.bounds.compute_balance(floor))
    return replace(tuned, score=tuned.bounds.compute_score(floor))


def write_outputs(result: TuningResult, settings: Settings, space: Mapping[str, Parameter]) -> None:
    """Write the tables and the configs, and remove the runs of all trials but the best.

    Args:
        settings: those that the search started from.
    """
    write_tables(result.folder, result)
    front = result.folder / FRONT_FOLDER
    remove(front)
    for trial in result.trials:
        is_best = trial.number == result.best.number
        files = [result.config] if is_best else []
        if trial.is_on_front:
            files.append(front / f"trial-{trial.number:03d}.yaml")
        for file in files:
            values = {} if trial.is_default else trial.settings
            write_config(file, apply_values(settings, values, space), trial, result)
        if not is_best:
            remove(locate_run(result.folder, trial.number))


def draw_picture(result: TuningResult) -> None:
    """Draw the picture, if the package for it is installed."""
    if find_spec("matplotlib") is None:
        return
    from textvae.tuning.picture import PICTURE_FILE, draw_front

    draw_front(result.folder / PICTURE_FILE, result)


def describe_trial(number: int, result: TuningResult) -> str:
    """Return a line about a trial for the terminal."""
    trial = next(trial for trial in result.trials if trial.number == number)
    name = f"trial {number} (default)" if trial.is_default else f"trial {number}"
    if trial.bounds is None or trial.state == "failed":
        return f"{name}: failed: {trial.reason}"
    ending = "stopped early at" if trial.state == "pruned" else "score"
    bounds = trial.bounds
    return (
        f"{name}: {ending} {trial.score:.2f} (-ELBO {-bounds.elbo:.2f}, KL {bounds.kl:.2f}), "
        f"{trial.steps:,} steps, {trial.seconds:.0f} s; best: trial {result.best.number}, "
        f"{result.gain:.2f} nats better than the default"
    )
