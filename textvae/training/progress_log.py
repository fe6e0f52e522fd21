"""The log of an unfinished run, which others can read while it trains.

`textvae.evaluation.progress` reads it. A finished run has the same values in training.json.
"""

import json
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.runs.run import PROGRESS_FILE, Run
from textvae.runtime.files import write_text
from textvae.training.schedule import TrainingSchedule


class ProgressCallback(TrainerCallback):
    """Writes each logged entry to a line of a file, with the time and the share of the run."""

    def __init__(self, run: Run, schedule: TrainingSchedule) -> None:
        self.file = run.folder / PROGRESS_FILE
        self.schedule = schedule

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Write what was logged until the checkpoint that the run continues from, if any.

        Later lines may exist: a resumed run repeats the steps between its checkpoint and the
        interruption.
        """
        write_text(self.file, "".join(map(_format_line, state.log_history)))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Append what was logged just now."""
        entry = state.log_history[-1] | {
            "seconds": self.schedule.seconds,
            "fraction": self.schedule.fraction,
        }
        # Opened each time, so that a reader sees the line at once.
        with self.file.open("a", encoding="utf-8") as file:
            file.write(_format_line(entry))


def _format_line(entry: dict[str, Any]) -> str:
    """Return logged values as a line of JSON."""
    return json.dumps(entry) + "\n"
