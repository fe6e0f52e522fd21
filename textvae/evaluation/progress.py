"""How far a run has come: its curves, what it wrote at each evaluation, and what the doctor says.

It is read from the files of the run, without a lock, so a run can be watched while another
process trains it. Such a process may be writing the last line of a file just now, or may end
at any time: lines that cannot be read are left out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from textvae.errors import CheckpointError
from textvae.evaluation.doctor import diagnose, format_latent_verdict
from textvae.evaluation.usefulness import compute_elbo_fall
from textvae.runs.run import PROGRESS_FILE, SAMPLES_FILE, Run, choose_lock_file, is_run
from textvae.runtime.locks import is_held
from textvae.runtime.paths import require_path

State = Literal["training", "finished", "interrupted"]

# Entries of a line that say where it belongs, and are no curves.
_POSITION = ("step", "epoch", "seconds", "fraction")


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class Reconstruction:
    """A sentence of the validation split, and what the model makes of it."""

    input: str
    output: str


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class SampleTable:
    """What a model wrote at one evaluation of its training.

    Attributes:
        step: the step after which it was evaluated.
        seed: of the samples; it is the same in all tables of a run, so that they can be compared.
        temperature: of the samples. Reconstructions are greedy.
        samples: sentences from the prior.
        reconstructions: of sentences of the validation split, the same in all tables; empty for a
            language model.
    """

    step: Annotated[int, Field(ge=0)]
    seed: int
    temperature: float
    samples: list[str]
    reconstructions: list[Reconstruction]


@dataclass(frozen=True)
class LatentVerdict:
    """What the last evaluation says about the latent; the doctor judges the finished run.

    Attributes:
        text: whether the latent is used, in a few words.
        findings: the signs that it is not.
        advice: what to change.
    """

    step: int
    text: str
    findings: list[str]
    advice: list[str]


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        state: `training` while a process trains it or prepares to do so; `interrupted` if there is
            no such process and the run has not finished.
        step: the last step that was logged; 0 before the first log.
        seconds: of training until that step; None if it is not known.
        fraction: the share of the run that is over, from 0 to 1; None if it is not known.
        curves: pairs of a step and a value, by the name that `training.json` has for them, such as
            `loss`, `kl` and, of the evaluations, `eval_elbo`; values that are not finite are left
            out.
        samples: the tables of samples and reconstructions, in the order of their steps.
        verdict: None before the first evaluation.
    """

    state: State
    step: int
    seconds: float | None
    fraction: float | None
    curves: dict[str, list[tuple[int, float]]]
    samples: list[SampleTable]
    verdict: LatentVerdict | None


_Entry = dict[str, float | None]  # logged values by name
_ENTRY = TypeAdapter(_Entry, config=ConfigDict(strict=True))
_TABLE = TypeAdapter(SampleTable)


def read_progress(run: str | Path) -> Progress:
    """Return how far a run has come; the run may be unfinished, and may be training just now.

    Raises:
        CheckpointError: the folder is not a run, or it was removed meanwhile.
    """
    folder = require_path(run, "run")
    if not is_run(folder):
        raise CheckpointError(
            f"{folder}: there is no run; expected a folder that `textvae train` wrote. "
            "If it was there before, it has been removed or replaced meanwhile."
        )
    opened = Run(folder)
    state = find_state(opened)
    history = _read_history(opened, state)
    last: _Entry = history[-1] if history else {}
    return Progress(
        state=state,
        step=_find_step(last) if last else 0,
        seconds=_find_seconds(opened, state, last),
        fraction=1.0 if state == "finished" else last.get("fraction"),
        curves=_collect_curves(history),
        samples=list(iterate_sample_tables(folder / SAMPLES_FILE)),
        verdict=_judge(opened, history),
    )


def find_state(run: Run) -> State:
    """Return whether a run is finished, is being trained, or was interrupted."""
    if run.is_finished():
        return "finished"
    return "training" if is_held(choose_lock_file(run.folder)) else "interrupted"


def iterate_sample_tables(file: Path) -> Iterator[SampleTable]:
    """Yield the tables in a file; none if there is no such file."""
    for line in _read_lines(file):
        with suppress(ValidationError):
            yield _TABLE.validate_json(line)


def _iterate_entries(file: Path) -> Iterator[_Entry]:
    """Yield the logged values in a file; none if there is no such file."""
    for line in _read_lines(file):
        with suppress(ValidationError):
            yield _ENTRY.validate_json(line)


def _read_lines(file: Path) -> list[str]:
    """Return the lines of a file; none if it does not exist yet, or was removed."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []


def _read_history(run: Run, state: State) -> list[_Entry]:
    """Return the logged values of a run, in the order of their steps."""
    entries = list(_iterate_entries(run.folder / PROGRESS_FILE))
    if state == "finished" or not entries:
        # An unfinished run has this file if it had finished before and is trained longer now.
        entries = run.read_json("training.json").get("history", [])
    return [entry for entry in entries if entry.get("step") is not None]


def _find_seconds(run: Run, state: State, last: _Entry) -> float | None:
    """Return how long a run has trained, if it is known."""
    if state == "finished":
        return run.read_json("training.json").get("seconds")
    return last.get("seconds")


def _find_step(entry: _Entry) -> int:
    """Return the step at which values were logged."""
    return int(entry["step"] or 0)


def _collect_curves(history: list[_Entry]) -> dict[str, list[tuple[int, float]]]:
    """Return the finite values of each name, with their steps."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name not in _POSITION and value is not None and math.isfinite(value):
                curves.setdefault(name, []).append((_find_step(entry), value))
    return curves


def _judge(run: Run, history: list[_Entry]) -> LatentVerdict | None:
    """Return what the last evaluation says, or None before the first one."""
    evaluations = [entry for entry in history if "eval_selection" in entry]
    if not evaluations:
        return None
    measures: dict[str, float] = {}
    for name, value in evaluations[-1].items():
        if name.startswith("eval_") and value is not None:
            # Trainer logs counts, too, as numbers with a decimal point.
            is_whole = float(value).is_integer()
            measures[name.removeprefix("eval_")] = int(value) if is_whole else value
    step = _find_step(evaluations[-1])
    target = run.read_kl_target()
    diagnosis = diagnose(measures, target)
    text = describe_latent(measures, target, history, step)
    return LatentVerdict(step, text, diagnosis.findings, diagnosis.advice)


def describe_latent(
    measures: Mapping[str, float],
    kl_target: float | None,
    history: Sequence[Mapping[str, Any]],
    step: int,
) -> str:
    """Return what an evaluation during training says about the latent, in a few words.

    Args:
        measures: of this evaluation, with its `selection` if the model could become the best.
        history: the logged values of the run.
    """
    fall = None
    # Where information in z costs nothing, the ELBO is not what selects the best model.
    if measures.get("selection") == -measures.get("elbo", math.nan):
        fall = compute_elbo_fall(history, step)
    return format_latent_verdict(measures, kl_target, fall)
