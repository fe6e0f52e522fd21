"""Callbacks: the schedule that drives the training loop, and the output on the console."""

import math
import sys
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textvae.data.training_batches import TrainingBatches
from textvae.evaluation.progress import describe_latent
from textvae.messages import print_lines
from textvae.runtime.processes import Processes
from textvae.runtime.signals import StopSignals
from textvae.training.decoder_restart import restart_decoder
from textvae.training.schedule import TrainingSchedule


class ScheduleCallback(TrainerCallback):
    """Advances the schedule, requests evaluations and checkpoints, and ends the run.

    Args:
        batches: the training batches, which need to know the epoch.
        patience: an open-ended run cools down after this many evaluations without improvement.
        signals: a signal to any of the processes ends the run after the current step.
        embedding: the decoder's embedding at the start of the run, (vocab, size), if a restart of
            the decoder keeps it.
    """

    def __init__(
        self,
        schedule: TrainingSchedule,
        batches: TrainingBatches,
        patience: int,
        processes: Processes,
        signals: StopSignals,
        embedding: Tensor | None,
    ) -> None:
        self.schedule = schedule
        self.batches = batches
        self.patience = patience
        self.processes = processes
        self.signals = signals
        self.embedding = embedding
        self.is_evaluation_due = False
        self.is_stopped = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock: preparation and loading do not count as training."""
        self.schedule.start_clock()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Set the epoch, which determines the order of the batches.

        transformers' Trainer sets the epoch of the sampler, too, but in a resumed run it has
        wrapped the sampler, and the wrapper does not pass the epoch on.
        """
        self.batches.set_epoch(state.global_step // self.schedule.steps_per_epoch)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Give the decoder fresh weights at the end of pretraining."""
        if self.schedule.is_restart_due:
            seed = self.schedule.settings.seed
            restart_decoder(objects["model"], objects["optimizer"], seed, self.embedding)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the step, before Trainer sets the learning rate of the next one."""
        due_before = int(self.schedule.evaluations_due())
        self.schedule.advance()
        self._agree_with_other_processes()
        self.schedule.begin_phases()
        self.is_evaluation_due = int(self.schedule.evaluations_due()) > due_before
        # The refit of the posterior starts from the best model, and this may be the one at the
        # end of the main phase.
        if self.schedule.is_refit_due:
            self.is_evaluation_due = True
            # What is logged at the end is of the refit alone: its KL weight is another one.
            control.should_log = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Request an evaluation and a checkpoint when they are due; stop at the end."""
        if self.batches.batches_per_epoch is None:
            # For a resumed stream Trainer would count only the steps since the interruption.
            state.epoch = state.global_step / state.max_steps
        is_over = self.schedule.is_over
        control.should_training_stop = is_over
        control.should_log = control.should_log or is_over
        control.should_evaluate = self.is_evaluation_due or is_over
        control.should_save = self.is_evaluation_due or is_over or self.is_stopped
        if self.is_stopped and self.processes.is_first:
            print_lines(f"stopping: saving a checkpoint of step {state.global_step}")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop now that a checkpoint is saved, if a signal asked for it."""
        if self.is_stopped:
            self.signals.stop()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Cancel what Trainer requests at the end of an epoch: `on_step_end` has requested it all."""
        control.should_log = False
        control.should_evaluate = False
        control.should_save = False

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Begin the cool-down of an open-ended run once it has stopped improving."""
        if not self.schedule.is_open_ended:
            return
        logged = [
            entry["eval_selection"] for entry in state.log_history if "eval_selection" in entry
        ]
        # Lower is better. It is infinite for a model that is not eligible as the best.
        selections = [selection for selection in logged if math.isfinite(selection)]
        if not selections:
            return
        best = selections.index(min(selections))
        if len(selections) - best > self.patience:
            self.schedule.begin_cooldown()

    def _agree_with_other_processes(self) -> None:
        """Take the first process's clock, and learn whether any process has received a signal.

        The clocks differ, but all processes must evaluate and end at the same step.
        """
        seconds = self.schedule.seconds if self.processes.is_first else 0.0
        has_signal = float(self.signals.received is not None)
        # One message for both, because it is sent in every step.
        shared = self.processes.sum(torch.tensor([seconds, has_signal], dtype=torch.float64))
        self.schedule.seconds = float(shared[0])
        self.is_stopped = bool(shared[1])


class ConsoleCallback(TrainerCallback):
    """Shows a progress bar, and a line for each evaluation, on standard error.

    Args:
        kl_target: the KL that training aims at, in nats per sentence, or None.
        has_bar: whether the bar is shown; the environment variable TQDM_DISABLE hides it, too.
    """

    def __init__(
        self, schedule: TrainingSchedule, kl_target: float | None, *, has_bar: bool = True
    ) -> None:
        self.schedule = schedule
        self.kl_target = kl_target
        self.has_bar = has_bar
        self.bar: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar."""
        if not self.has_bar:
            return
        # Without `disable`, tqdm reads TQDM_DISABLE.
        self.bar = tqdm(
            total=100,  # percent of the run
            desc="training",
            mininterval=0.5 if sys.stderr.isatty() else 15.0,  # seconds; a log file gets few lines
            bar_format="{l_bar}{bar:20}| {elapsed}<{remaining} {postfix}",
            file=sys.stderr,
        )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:
        """Show the loss, the reconstruction, the KL and its weight, and the speed."""
        if self.bar is None or "kl_weight" not in (logs or {}):
            return
        self.bar.set_postfix_str(
            f"step {state.global_step} loss {logs['loss']:.2f} "
            f"rec {logs['reconstruction']:.2f} kl {logs['kl']:.2f} "
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
        """Print the validation measures, and what they say about the latent."""
        measures = {name.removeprefix("eval_"): value for name, value in metrics.items()}
        target_note = ""
        if self.kl_target:
            target_note = f" (target {self.kl_target:.1f})"
        if "kl_before_refit" in measures:
            target_note = f" ({measures['kl_before_refit']:.1f} before the refit)"
        verdict = describe_latent(measures, self.kl_target, state.log_history, state.global_step)
        line = (
            f"step {state.global_step}: validation {_format_bound(measures)}{target_note}, "
            f"{measures['active_units_strict']:.0f}/{measures['latent_dim']:.0f} units active "
            f"at a variance of 0.1: {verdict}"
        )
        print_lines(line)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Show in the bar how far the run has come."""
        if self.bar is not None:
            self.bar.update(100 * self.schedule.fraction - self.bar.n)

    def close(self) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class OrderlyEndCallback(TrainerCallback):
    """Ends a run as its schedule does when a callback of the user's stops the training.

    The last step is evaluated and saved, so its model can be the best one. There is no cool-down,
    and no refit of the posterior. It has to be the last of the callbacks.
    """

    def __init__(self, schedule: TrainingSchedule) -> None:
        self.schedule = schedule
        self.is_stopped = False

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note a stop: at the end of the step, `ScheduleCallback` decides again whether to go on."""
        self.is_stopped = control.should_training_stop

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End the run if a callback has stopped it during the step."""
        control.should_training_stop = control.should_training_stop or self.is_stopped
        self.end_if_stopped(state, control)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End the run if a callback has stopped it because of what was logged."""
        self.end_if_stopped(state, control)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End the run if a callback has stopped it because of the evaluation."""
        self.end_if_stopped(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End the run if a callback has stopped it at the end of an epoch."""
        self.end_if_stopped(state, control)

    def end_if_stopped(self, state: TrainerState, control: TrainerControl) -> None:
        """Evaluate the last step, unless that was done, and save it."""
        if not control.should_training_stop or self.schedule.is_over:
            return
        self.schedule.end_early()
        evaluated = [entry["step"] for entry in state.log_history if "eval_selection" in entry]
        control.should_log = True
        control.should_evaluate = state.global_step not in evaluated
        control.should_save = True


def _format_bound(measures: dict[str, float]) -> str:
    """Return ELBO and KL as text, or the reconstruction if the KL is not defined."""
    if "kl" not in measures:
        return f"reconstruction {measures['reconstruction']:.2f} nats"
    return f"ELBO {measures['elbo']:.2f}, KL {measures['kl']:.2f}"
