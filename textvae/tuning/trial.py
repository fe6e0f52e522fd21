"""One trial of a search: train a config, and report its score at fixed shares of its time.

The trial runs in this process. What it prints goes to a log file, since a search has many
trials and only a line for each of them should reach the terminal. A trial ends with its last
checkpoint: writing the finished model, and judging it, is left to `finish`, and only the best
trial needs it.
"""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.errors import ConfigError, TextVAEError, TrainingError
from textvae.messages import print_lines
from textvae.runs.run import find_best_step
from textvae.runtime.memory import describe_lack_of_memory
from textvae.settings.run import Settings
from textvae.training.train import train
from textvae.tuning.objective import Bounds

# Reports the bounds after the n-th evaluation; returns whether to stop the trial.
Report = Callable[[Bounds, int], bool]

Corpus = str | Path | Sequence[str]


class _StoppedEarlyError(Exception):
    """A trial that is worse than the others was stopped."""


class _TrainedError(Exception):
    """A trial has come to its end, and its last checkpoint is saved."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        bounds: of the model that training kept, or of the last evaluation if the trial was
            stopped early; None if there was no evaluation.
        active_units: dimensions of z with a variance of 0.1 or more; None without an evaluation.
        steps: optimizer steps taken.
        is_pruned: whether it was stopped early.
        reason: why it failed; None if it did not.
    """

    bounds: Bounds | None = None
    active_units: int | None = None
    steps: int = 0
    is_pruned: bool = False
    reason: str | None = None


class TrialRunner(Protocol):
    """A function that runs one trial, as `run_trial` does."""

    def __call__(
        self, corpus: Corpus, settings: Settings, folder: Path, device: str | None, report: Report
    ) -> Outcome:
        """Run a trial; return how it ended."""


def run_trial(
    corpus: Corpus, settings: Settings, folder: Path, device: str | None, report: Report
) -> Outcome:
    """Train a config in a run folder, up to its last checkpoint; return how it ended.

    Args:
        folder: the run folder; the log is next to it.
        report: called after each evaluation but the last ones, which are no use to stop early.

    Raises:
        TextVAEError: the failure would befall every trial: the disk is full, or the corpus
            cannot be read.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    callback = _ReportCallback(report, settings.training.evaluations)
    sections = settings.model_dump(mode="json")
    try:
        with folder.with_suffix(".log").open("w", encoding="utf-8") as log, redirect_stderr(log):
            train(corpus, folder, device=device, callbacks=[callback], **sections)
    except _StoppedEarlyError:
        return callback.build_outcome(is_pruned=True)
    except _TrainedError:
        return _read_outcome(callback.history, keeps_last=settings.training.keep == "last")
    except (ConfigError, TrainingError) as error:
        return callback.build_outcome(reason=str(error))
    except TextVAEError:
        raise
    except (MemoryError, RuntimeError) as error:
        lack = describe_lack_of_memory(error)
        if lack is None:
            raise
        return callback.build_outcome(reason=f"the memory is not enough: {lack}")
    finally:
        free_memory()
    raise AssertionError("a run ends with a checkpoint")


def free_memory() -> None:
    """Free what the last trial has left, on the GPU, too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def read_clock(settings: Settings) -> float:
    """Return the seconds of the clock that bounds the trials; only differences mean something."""
    return time.process_time() if settings.training.clock == "processor" else time.monotonic()


def _read_outcome(history: list[dict[str, Any]], *, keeps_last: bool) -> Outcome:
    """Return the outcome of a run: the scores of the model that it keeps.

    Args:
        history: the logged values of the training.
        keeps_last: whether the run keeps its last model, and not the best one.
    """
    evaluations = [entry for entry in history if entry.get("eval_elbo") is not None]
    last_step = int(history[-1]["step"])
    if not evaluations:
        return Outcome(steps=last_step, reason="its posterior has no ELBO")
    best_step = None if keeps_last else find_best_step(history)
    kept = next((entry for entry in evaluations if entry["step"] == best_step), evaluations[-1])
    return Outcome(_read_bounds(kept), _count_units(kept), last_step)


def _read_bounds(metrics: dict[str, Any]) -> Bounds:
    """Return the bounds that an evaluation has logged."""
    return Bounds(metrics["eval_elbo"], metrics["eval_reconstruction"], metrics["eval_kl"])


def _count_units(metrics: dict[str, Any]) -> int:
    """Return how many dimensions of z vary by 0.1 or more between sentences."""
    return int(metrics["eval_active_units_strict"])


class _ReportCallback(TrainerCallback):
    """Reports each evaluation, and stops the trial if it should be.

    A run makes its evaluations at equal shares of its steps or of its time, so the n-th one of
    two runs comes at the same share. Those at its end differ: a refit has one of its own.
    """

    def __init__(self, report: Report, evaluations: int) -> None:
        self.report = report
        self.evaluations = evaluations
        self.count = 0
        self.steps = 0
        self.last: dict[str, Any] | None = None
        self.history: list[dict[str, Any]] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note the step, for a trial that ends early."""
        self.steps = state.global_step

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Any = None,
        **_: Any,
    ) -> None:
        """Report the bounds; raise an exception that ends the training if it is worse than others."""
        self.count += 1
        if metrics.get("eval_elbo") is None:  # such a trial has no score
            return
        self.last = metrics
        if self.count < self.evaluations and self.report(_read_bounds(metrics), self.count):
            note = "stopped early: worse than three quarters of the finished trials were"
            print_lines(note)
            raise _StoppedEarlyError

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Raise an exception that ends the trial if this was its last checkpoint."""
        if control.should_training_stop:
            self.history = state.log_history
            raise _TrainedError

    def build_outcome(self, *, is_pruned: bool = False, reason: str | None = None) -> Outcome:
        """Return the outcome of a trial that did not finish."""
        if self.last is None:
            return Outcome(None, None, self.steps, is_pruned, reason)
        units = _count_units(self.last)
        return Outcome(_read_bounds(self.last), units, self.steps, is_pruned, reason)
