"""Train a run longer than was planned: change when it ends, and continue it from there.

An interrupted run continues from its newest checkpoint, with its optimizer. A finished run has
no optimizer any more, because that would make its folder three times as large. It continues
from its finished model: a checkpoint without an optimizer is written, and from then on the run
is like one that was interrupted. The states of schedule, techniques and stream are those of its
end; the learning rate follows the longer schedule (`training/schedule.py`).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from textvae.errors import CheckpointError, ConfigError
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.inference.model_folder import WEIGHTS_FILE
from textvae.runs.run import INIT_FOLDER, SETTINGS_FILE, Run
from textvae.runtime.files import remove, write_atomically
from textvae.schema import list_set_fields, validate_settings
from textvae.settings.run import Settings
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training.fit import build_objective, check_trainable

_BOUNDS = ("steps", "epochs", "max_minutes")

# What describes the model of a finished run, and is wrong once the run is trained longer.
_OUTDATED_FILES = ("measures.json", "model_summary.json", "report.html")


def parse_bounds(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new bounds of a run from settings that were named next to --resume.

    Args:
        settings: sections of settings, as nested mappings.

    Raises:
        ConfigError: other settings than the bounds were named, or a value does not fit.
    """
    training = list_set_fields(settings.get("training", {}))
    others = [name for name in settings if name != "training"]
    if isinstance(training, Mapping):
        others += [f"training.{name}" for name in training if name not in _BOUNDS]
    if others or not isinstance(training, Mapping):
        raise ConfigError(
            "a resumed run keeps its corpus and settings; give only --output and --resume, and to "
            f"train it longer one of {', '.join(f'training.{name}' for name in _BOUNDS)} "
            f"(got {', '.join(others) or 'training'})."
        )
    bounds = validate_settings(TrainingSettings, training, "training").model_dump()
    missing = [name for name in training if bounds[name] is None]
    if missing:
        raise ConfigError(f"training.{missing[0]}: is empty; give a number.")
    return {name: bounds[name] for name in training}


def extend(run: Run, bounds: Mapping[str, Any], device: torch.device) -> None:
    """Give a run new bounds; they replace all bounds that it had.

    A finished run loses its final model, and so whether it can be trained on the device is
    checked before.

    Raises:
        ConfigError: the run has been trained as long already.
        CheckpointError: the run is finished, and its folder lacks what it continues from.
    """
    settings = run.read_settings()
    is_finished = run.is_finished()
    state = _read_finished_state(run) if is_finished else _read_newest_state(run)
    for name, value in bounds.items():
        _check_longer(name, value, state.get("plan", {}))
    training = settings.training.model_copy(update={**dict.fromkeys(_BOUNDS), **bounds})
    run.open_corpus().refuse_settings(training, settings.objective.techniques)
    check_trainable(run, device)
    settings = settings.model_copy(update={"training": training})
    if is_finished:
        _write_start_checkpoint(run, settings, state)
    with write_atomically(run.folder / SETTINGS_FILE) as partial:
        settings.save(partial)
    if is_finished:
        # The weights go last of all: until then, the folder is the finished run that it was.
        for name in (*_OUTDATED_FILES, WEIGHTS_FILE):
            remove(run.folder / name)


def describe_extension(run: Run) -> str:
    """Return a sentence that says that a run is finished, and how to train it longer."""
    steps = run.read_json("training.json").get("steps", 0)
    return (
        f"the run is finished, after {steps:,} steps. To train it longer: textvae train "
        f"--output {run.folder} --resume training.steps={2 * steps or 1000} "
        "(or training.epochs, or training.max_minutes, in all)"
    )


def _read_newest_state(run: Run) -> dict[str, Any]:
    """Return the state of a run's newest checkpoint; empty if it has none."""
    newest = checkpoints.find_checkpoint_to_resume(run.folder)
    return checkpoints.read_state(newest) if newest else {}


def _read_finished_state(run: Run) -> dict[str, Any]:
    """Return the state that a run had at its end.

    Raises:
        CheckpointError: its log does not have it, or the folder holds a checkpoint of the user's.
    """
    state = run.read_json("training.json").get("state")
    if state is None:
        raise CheckpointError(
            f"{run.folder}: cannot be trained longer, because its training.json does not have the "
            f"state of its training. Start a new run from it: --init {run.folder}"
        )
    existing = checkpoints.list_checkpoints(run.folder)
    if existing:
        raise CheckpointError(
            f"{existing[0]}: is no checkpoint that this run has left; move it away first."
        )
    return dict(state)


def _check_longer(name: str, value: float, plan: Mapping[str, Any]) -> None:
    """Check that a new bound is above what was done.

    Raises:
        ConfigError: it is not.
    """
    minutes = (plan.get("used", 0.0) + plan.get("preparation", 0.0)) / 60
    done = {"steps": plan.get("step", 0), "epochs": plan.get("epochs", 0), "max_minutes": minutes}
    if value <= done[name]:
        unit = name.removeprefix("max_")
        raise ConfigError(
            f"training.{name} = {value:g}: the run has been trained for {done[name]:,.6g} {unit} "
            "already, and its bounds count from its beginning. Give a larger number."
        )


def _write_start_checkpoint(run: Run, settings: Settings, state: dict[str, Any]) -> None:
    """Write the checkpoint, and the initial model, from which a finished run continues."""
    bundle = load_bundle(run.folder, "cpu")
    checkpoints.remove_partial_checkpoints(run.folder)
    staging = run.folder / checkpoints.STAGING_FOLDER
    save_bundle(bundle, staging / INIT_FOLDER)
    # With an initial model, what follows is certainly ours: after a kill it is tidied up.
    (staging / INIT_FOLDER).replace(run.folder / INIT_FOLDER)
    step = int(state["plan"]["step"])
    name = f"checkpoint-{step}"
    # The weights of the techniques were not kept; they start again.
    build_objective(settings, bundle, torch.device("cpu"))
    save_bundle(bundle, staging / name)
    _build_trainer_state(run, step).save_to_json(str(staging / name / "trainer_state.json"))
    kept_step = run.read_json("training.json").get("kept_step")
    plan = {**state["plan"], "restart": step, "restart_kept": kept_step}
    checkpoints.write_state(staging / name, {**state, "plan": plan})
    checkpoints.write_checksums(staging / name)
    checkpoints.finalize_checkpoint(staging / name, run.folder / name)
    checkpoints.remove_partial_checkpoints(run.folder)


def _build_trainer_state(run: Run, step: int) -> TrainerState:
    """Return the state of transformers' Trainer in which a finished run continues.

    The finished model is the best one so far, unless no step was eligible as the best. After a
    refit of the posterior it is not; the trainer drops the refit from the history.
    """
    log = run.read_json("training.json")
    selection = log["state"]["best_selection"]
    was_refitted = log["state"]["plan"]["refit_start"] is not None
    keeps_best = run.read_settings().training.keep == "best" and not was_refitted
    has_best = keeps_best and selection is not None and math.isfinite(selection)
    return TrainerState(
        global_step=step,
        epoch=log["state"]["plan"]["epochs"],
        log_history=log["history"],
        # Trainer compares it with its own, which does not matter here: our batches have tokens.
        train_batch_size=TrainingArguments.per_device_train_batch_size,
        stateful_callbacks=[TrainerControl()],  # Trainer writes its state into this entry
        best_global_step=step if has_best else None,
        best_metric=selection if has_best else None,
    )
