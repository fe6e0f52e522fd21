"""The runner: a process for each run, some at a time.

A run that crashes, or is killed for want of memory, takes nothing else with
it. What a process says goes to a log beside its run; the last of it is the
reason that the table gives for a run that failed.
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
from typing import Any

from textvae.comparison.matrix import Trial
from textvae.comparison.report.model_summary import SUMMARY_FILE
from textvae.runs.run import Run

_POLL_SECONDS = 0.05  # seconds between two looks at the processes


def list_commands(
    trial: Trial, samples: int, limit: int | None, device: str | None
) -> list[list[str]]:
    """Return what is left to do for a run, as verbs with their arguments; nothing where it stands and is measured."""
    run, on = Run(trial.folder), ["--device", device] if device else []
    todo = []
    if not run.is_finished():
        begun = (trial.folder / "settings.yaml").is_file()
        given = ["--resume"] if begun else ["--config", str(trial.config), *trial.overrides]
        todo.append(["train", *given, "--output", str(trial.folder), *on])
    is_new = bool(todo)
    if is_new or not _is_measured(run, samples, limit):
        todo.append(["evaluate", str(trial.folder), "--samples", str(samples), *on])
        todo[-1] += [] if limit is None else ["--limit", str(limit)]
    if is_new or not (trial.folder / SUMMARY_FILE).is_file():
        todo.append(["portray", str(trial.folder), *on])
    return todo


def _is_measured(run: Run, samples: int, limit: int | None) -> bool:
    """Whether a finished run's measures are those asked for."""
    record = run.read_json("measures.json")
    available = run.read_counts()["tokenized"]["test"]["sentences"]
    wanted = available if limit is None else min(limit, available)
    return record.get("sentences") == wanted and record.get("iw_samples") in (samples, None)


def run_all(
    todo: Mapping[str, tuple[Trial, list[list[str]]]], jobs: int, tell: Callable[[str], None]
) -> dict[str, str]:
    """Run what is left to do, `jobs` processes at a time; return the reasons of those that failed, by run."""
    waiting, running, failures = (
        deque(todo),
        dict[str, tuple[subprocess.Popen[bytes], int]](),
        dict[str, str](),
    )
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.popleft()
                tell(f"{name}: begins; its log is {todo[name][0].log}")
                running[name] = _start_process(*todo[name], jobs)
            for name, (process, offset) in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    process.communicate()  # closes its input
                    if process.returncode:
                        failures[name] = find_failure_reason(
                            process.returncode, todo[name][0].log, offset
                        )
                    tell(f"{name}: {'failed: ' + failures[name] if name in failures else 'done'}")
            time.sleep(_POLL_SECONDS)
    finally:
        for process, _ in running.values():
            process.kill()
            process.communicate()
    return failures


def _start_process(
    trial: Trial, commands: Sequence[Sequence[str]], jobs: int
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a run's process, with its share of the cores; return it, and where its words begin in the log."""
    trial.log.parent.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment: dict[str, Any] = {"OMP_NUM_THREADS": threads, **os.environ}
    with trial.log.open("ab") as log:
        offset = log.tell()
        words = [sys.executable, "-m", "textvae.cli.compare_worker", json.dumps(commands)]
        process = (
            subprocess.Popen(  # its standard input stays open as long as we live, which it watches
                words, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        )
    return process, offset


def find_failure_reason(code: int, log: Path, offset: int) -> str:
    """Return why a process ended: our own message, or else the last line it wrote."""
    if code < 0:
        hint = " (was there not enough memory?)" if -code == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{hint}"
    said = log.read_bytes()[offset:].decode("utf-8", errors="replace")
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    ours = [line for line in lines if re.match(r"textvae \w+: ", line)]
    return (ours or lines or [f"exit code {code}"])[-1].removeprefix("textvae ")


def build_run_record(trial: Trial, reason: str | None) -> dict[str, Any]:
    """Return a run's record; that of a run that failed has its `find_failure_reason` and no measures."""
    asked = {
        "config": trial.row,
        "corpus": trial.corpus,
        "seed": trial.seed,
        "run": str(trial.folder),
    }
    if reason:
        return {**asked, "reason": reason}
    return {**asked, "reason": None, **read_measures(trial.folder)}


def read_measures(folder: Path) -> dict[str, Any]:
    """Return what an evaluated run's folder says of it."""
    run = Run(folder)
    training = run.read_json("training.json")
    cost = {"minutes": training.get("seconds", 0.0) / 60, "steps": training.get("steps")}
    return {**cost, **run.read_json("measures.json")}
