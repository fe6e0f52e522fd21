"""The runner of a comparison: one process per run, several at a time.

A run that crashes, or that the system kills because memory is short, does not
affect the others. The output of each process goes to a log file next to its run;
the last message in it is the reason that the table gives for a failed run.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from textvae.comparison.matrix import Trial
from textvae.comparison.report.model_summary import SUMMARY_FILE
from textvae.runs.run import Run
from textvae.uses.records import ComparedRun

# For one run: its commands (train, evaluate, summarize), each with its arguments.
_Commands = list[list[str]]

_POLL_SECONDS = 0.05  # between two checks of which processes have ended


def list_commands(trial: Trial, samples: int, limit: int | None, device: str | None) -> _Commands:
    """Return the commands that are left to execute for a run; empty if it is done.

    Args:
        samples: importance samples per sentence of the evaluation.
        limit: sentences to evaluate; all of the test split if None.
    """
    run = Run(trial.folder)
    device_options = ["--device", device] if device else []
    commands = []
    needs_training = not run.is_finished()
    if needs_training:
        commands.append([*_build_train_command(trial), *device_options])
    if needs_training or not is_measured(run, samples, limit):
        evaluate = ["evaluate", str(trial.folder), "--samples", str(samples), *device_options]
        if limit is not None:
            evaluate += ["--limit", str(limit)]
        commands.append(evaluate)
    if needs_training or not (trial.folder / SUMMARY_FILE).is_file():
        commands.append(["summarize", str(trial.folder), *device_options])
    return commands


def _build_train_command(trial: Trial) -> list[str]:
    """Return the command that starts or resumes the training of a run."""
    output = ["--output", str(trial.folder)]
    if (trial.folder / "settings.yaml").is_file():
        return ["train", "--resume", *output]
    return ["train", "--config", str(trial.config), *trial.overrides, *output]


# Keys of standard measures that every model has; an evaluation of a few measures lacks some.
_STANDARD_KEYS = {"verdict", "elbo", "iw_nll", "token_accuracy"}


def is_measured(run: Run, samples: int, limit: int | None) -> bool:
    """Return whether a run has the standard measures, of as many sentences and samples as requested."""
    record = run.read_json("measures.json")
    available = run.read_counts()["tokenized"]["test"]["sentences"]
    sentences = available if limit is None else min(limit, available)
    # The number is None for a posterior without a density. Without the key, only other measures
    # were computed.
    has_samples = "iw_samples" in record and record["iw_samples"] in (samples, None)
    # A fitted proposal gives a tighter bound, which cannot be compared with the others.
    is_standard = record.keys() >= _STANDARD_KEYS and record.get("iw_width") in (1, None)
    return is_standard and has_samples and record.get("sentences") == sentences


def run_all(
    todo: Mapping[str, tuple[Trial, _Commands]],
    jobs: int,
    print_progress: Callable[[str], None],
) -> dict[str, str]:
    """Execute the commands of all runs, each run in a process of its own.

    Args:
        todo: runs and their commands, by the run's name.
        jobs: how many processes run at a time.

    Returns:
        The reason of each run that failed, by the run's name.
    """
    waiting = deque(todo)
    # By the run's name: its process, and where the output of the process begins in the log.
    running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    failures: dict[str, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.popleft()
                trial, commands = todo[name]
                print_progress(f"{name}: started; its log is {trial.log_file}")
                running[name] = _start_process(trial, commands, jobs)
            for name, (process, offset) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[name]
                reason = _finish_process(process, todo[name][0].log_file, offset)
                if reason:
                    failures[name] = reason
                    print_progress(f"{name}: failed: {reason}")
                else:
                    print_progress(f"{name}: done")
            time.sleep(_POLL_SECONDS)
    finally:
        # If this process is interrupted (Ctrl-C), the others must not go on training.
        for process, _ in running.values():
            process.kill()
            process.communicate()
    return failures


def _start_process(
    trial: Trial, commands: Sequence[Sequence[str]], jobs: int
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process of a run; return it, and the position in the log where its output begins.

    It uses its share of the cores, unless the user has set OMP_NUM_THREADS.
    """
    trial.log_file.parent.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    arguments = [sys.executable, "-m", "textvae.cli.compare_worker", json.dumps(commands)]
    with trial.log_file.open("ab") as log:
        offset = log.tell()
        # The worker ends when its standard input closes. The pipe is open exactly as long as this
        # process lives, so that a killed comparison leaves no worker behind.
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    return process, offset


def _finish_process(process: subprocess.Popen[bytes], log_file: Path, offset: int) -> str | None:
    """Release the pipe of an ended process; return the reason if it failed, or None."""
    process.communicate()  # closes the pipe to its standard input
    if not process.returncode:
        return None
    return find_failure_reason(process.returncode, log_file, offset)


def find_failure_reason(code: int, log: Path, offset: int) -> str:
    """Return why a process failed: our own error message, or else the last line of its output.

    Args:
        code: exit code; negative if a signal ended the process.
        log: the file with the output of this process, and of earlier attempts.
        offset: position in the log where the output of this process begins.
    """
    if code < 0:
        hint = " (was there not enough memory?)" if -code == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{hint}"
    output = log.read_bytes()[offset:].decode("utf-8", errors="replace")
    # A progress bar writes a carriage return before each update.
    lines = [line.strip() for line in re.split(r"[\r\n]+", output) if line.strip()]
    own_messages = [line for line in lines if re.match(r"textvae \w+: ", line)]
    candidates = own_messages or lines or [f"exit code {code}"]
    return candidates[-1].removeprefix("textvae ")


def build_run_record(trial: Trial, reason: str | None) -> ComparedRun:
    """Return the record of a run: its measures, or the `reason` why it failed.

    Args:
        reason: None for a run that did not fail.
    """
    record = ComparedRun(
        config=trial.row_name,
        corpus=trial.corpus,
        seed=trial.seed,
        run=str(trial.folder),
        reason=reason,
    )
    if reason:
        return record
    return cast(ComparedRun, {**record, **read_measures(trial.folder)})


def read_measures(folder: Path) -> dict[str, Any]:
    """Return what `read_training` returns of a run, and its measures.

    There are no measures if it was not evaluated.
    """
    # What is read of the training is newer than what an earlier release wrote next to the measures.
    return {**Run(folder).read_json("measures.json"), **read_training(folder)}


def read_training(folder: Path) -> dict[str, Any]:
    """Return the minutes, the steps and the KL weight of a run's training."""
    run = Run(folder)
    training = run.read_json("training.json")
    return {
        "minutes": training.get("seconds", 0.0) / 60,
        **{
            key: training.get(key)
            for key in ("steps", "best_step", "kept_step", "kept_learning_rate")
        },
        "kl_weight": run.read_kl_weight(),
    }
