"""Callbacks: what happens at each step beside the step itself."""

import math
import sys
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.data.batching import LengthBuckets
from textvae.evaluation.doctor import diagnose
from textvae.runtime.processes import Processes
from textvae.training.decoder_restart import restart_decoder
from textvae.training.schedule import TrainingSchedule


class ScheduleCallback(TrainerCallback):
    """Moves the plan on, asks for looks and checkpoints when they are due, and ends the run."""

    def __init__(
        self,
        plan: TrainingSchedule,
        buckets: LengthBuckets | None,
        patience: int,
        processes: Processes,
    ) -> None:
        self.schedule, self.buckets, self.patience, self.processes = (
            plan,
            buckets,
            patience,
            processes,
        )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock; what comes before is not training."""
        self.schedule.start_clock()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Choose the epoch's order; a resumed run's wrapped sampler would not hear of it."""
        if self.buckets is not None:  # a stream keeps its own epochs
            self.buckets.set_epoch(state.global_step // self.schedule.steps_per_epoch)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **training: Any
    ) -> None:
        """Begin anew after a prelude."""
        if self.schedule.is_restart_due:
            restart_decoder(training["model"], training["optimizer"], self.schedule.settings.seed)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the step before the learning rate is set for the next."""
        before = int(self.schedule.evaluations_due())
        self.schedule.advance()
        self.schedule.seconds = self.processes.broadcast_from_first(
            self.schedule.seconds
        )  # one clock decides
        self.schedule.end_pretraining()
        self.is_due = int(self.schedule.evaluations_due()) > before

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a look and a checkpoint when due; stop at the end."""
        if self.buckets is None:  # of a resumed stream the library counts its own steps alone
            state.epoch = state.global_step / state.max_steps
        control.should_training_stop = self.schedule.is_over
        control.should_log = control.should_log or control.should_training_stop
        control.should_evaluate = control.should_save = self.is_due or control.should_training_stop

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Whatever was due was done at the last step."""
        control.should_log = control.should_evaluate = control.should_save = False

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any
    ) -> None:
        """Let an open-ended run cool down once it has stopped improving."""
        looks = [
            entry["eval_selection"] for entry in state.log_history if "eval_selection" in entry
        ]
        looks = [
            selection for selection in looks if math.isfinite(selection)
        ]  # others can't be kept
        if self.schedule.is_open and looks and len(looks) - looks.index(min(looks)) > self.patience:
            self.schedule.begin_cooldown()


class ConsoleCallback(TrainerCallback):
    """A progress bar and a line for each look, on standard error."""

    def __init__(self, plan: TrainingSchedule, kl_target: float | None) -> None:
        self.schedule, self.kl_target = plan, kl_target
        self.bar: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar."""
        pause = 0.5 if sys.stderr.isatty() else 15.0
        shape = "{l_bar}{bar:20}| {elapsed}<{remaining} {postfix}"
        self.bar = tqdm(
            total=100, desc="training", mininterval=pause, bar_format=shape, file=sys.stderr
        )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:
        """Show loss, reconstruction, KL, its weight and the speed."""
        if self.bar is None or "kl_weight" not in (logs or {}):
            return
        self.bar.set_postfix_str(
            f"step {state.global_step} loss {logs['loss']:.2f} rec {logs['reconstruction']:.2f} kl {logs['kl']:.2f} "
            f"weight {logs['kl_weight']:.2f} {logs['tokens_per_second']:,.0f} tokens/s",
            refresh=False,
        )
        self.bar.update(100 * self.schedule.fraction - self.bar.n)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Any = None,
        **_: Any,
    ) -> None:
        """Say how it stands, and the doctor's word."""
        seen = {name.removeprefix("eval_"): value for name, value in metrics.items()}
        aim = f" (target {self.kl_target:.1f})" if self.kl_target else ""
        verdict = diagnose(seen, self.kl_target).verdict
        line = (
            f"step {state.global_step}: validation {_format_bound(seen)}{aim}, "
            f"{seen['active_units']:.0f}/{seen['latent_dim']:.0f} units active: {verdict}"
        )
        tqdm.write(line, file=sys.stderr)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Show the end."""
        if self.bar is not None:
            self.bar.update(100 * self.schedule.fraction - self.bar.n)

    def close(self) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


def _format_bound(seen: dict[str, float]) -> str:
    """Return ELBO and KL, or the reconstruction where there is no KL."""
    if "kl" not in seen:
        return f"reconstruction {seen['reconstruction']:.2f} nats"
    return f"ELBO {seen['elbo']:.2f}, KL {seen['kl']:.2f}"
