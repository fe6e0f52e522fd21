"""The schedule of a run: how far it has come, its learning rate, and when it ends.

A bounded run (by steps, epochs or minutes) warms up and then follows a cosine to
zero. An open-ended run warms up and holds the learning rate. Once the validation
ELBO stops improving it cools down linearly, over a quarter of the steps it has
taken, and ends.

A run may begin with pretraining, at a constant learning rate after the warm-up.
The decoder then gets fresh weights, and the main phase begins: the warm-up, the
cosine and the fraction that techniques see start again from zero.
"""

import math
import time
from typing import Any

from textvae.objective.techniques import Progress
from textvae.settings.training import TrainingSettings

_HOLD_FRACTION = 0.75  # the fraction of an open-ended run stays at this value until it cools down
_OPEN_ENDED_EPOCHS = 30  # epochs until it reaches this value
_COOLDOWN_SHARE = 0.25  # of the steps taken before the cool-down


class TrainingSchedule:
    """How far a run has come between its start and its end.

    Args:
        settings: how the run is bounded, its warm-up, and how often it is evaluated.
        steps_per_epoch: optimizer steps in one pass over the corpus.
        pretraining_share: the share of the run that is pretraining.
    """

    def __init__(
        self, settings: TrainingSettings, steps_per_epoch: int, pretraining_share: float = 0.0
    ) -> None:
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.pretraining_share = pretraining_share
        # The step at which the main phase begins; None until it is known.
        self.main_start_step = None if pretraining_share else 0
        self.step = 0
        self.encoder_steps = 0  # additional steps of the encoder alone
        self.seconds = 0.0  # of training, up to the end of the last step
        self.used = 0.0  # the same, and the time after that step as far as it is known
        self.clock_start: float | None = None
        self.cooldown_steps: tuple[int, int] | None = None  # first and last step
        bounds = [math.inf]
        if settings.epochs is not None:
            bounds.append(math.ceil(settings.epochs * steps_per_epoch))
        if settings.steps is not None:
            bounds.append(settings.steps)
        self.last_step = min(bounds)

    @property
    def is_open_ended(self) -> bool:
        """Whether the run ends only when it no longer improves."""
        return self.settings.max_minutes is None and self.last_step == math.inf

    def start_clock(self) -> None:
        """Start to count time; the time that an interrupted run has used stays used."""
        self.clock_start = time.monotonic() - self.used

    def note_time(self) -> None:
        """Count the time since the last step as used, without advancing the learning rate.

        Evaluations take time from a run bounded by minutes. A checkpoint must know of it, or
        a resumed run would get that time a second time. The learning rate depends on whole
        steps only, so that it does not depend on when a checkpoint was written.
        """
        if self.clock_start is not None:
            self.used = time.monotonic() - self.clock_start

    def advance(self) -> None:
        """Count one more step."""
        self.step += 1
        if self.is_open_ended:
            # The cool-down must fit before the bound on the epochs.
            max_steps = self.settings.most_epochs * self.steps_per_epoch
            if self.step * (1 + _COOLDOWN_SHARE) >= max_steps - 1:
                self.begin_cooldown()
        if self.clock_start is not None:
            self.note_time()
            self.seconds = self.used

    def end_pretraining(self) -> None:
        """Let the main phase begin with the next step, once the share of pretraining is over."""
        if self.main_start_step is None and self.fraction >= self.pretraining_share:
            self.main_start_step = self.step

    @property
    def is_restart_due(self) -> bool:
        """Whether the next step begins the main phase, so the decoder needs fresh weights."""
        return self.pretraining_share > 0 and self.step == self.main_start_step

    def begin_cooldown(self) -> None:
        """Begin to end an open-ended run, unless it is cooling down already."""
        if self.cooldown_steps is None:
            length = max(1, round(_COOLDOWN_SHARE * self.step))
            self.cooldown_steps = (self.step, self.step + length)

    @property
    def fraction(self) -> float:
        """Share of the run that is over, from 0 to 1, pretraining included."""
        if self.is_open_ended:
            return self.open_ended_fraction
        by_steps = self.step / self.last_step
        by_clock = 0.0
        if self.settings.max_minutes is not None:
            by_clock = self.seconds / (60 * self.settings.max_minutes)
        return min(1.0, max(by_steps, by_clock))

    @property
    def open_ended_fraction(self) -> float:
        """The fraction of an open-ended run: it waits for the cool-down and then grows to 1."""
        if self.cooldown_steps is None:
            steps = self.step - (self.main_start_step or 0)
            epochs = min(_OPEN_ENDED_EPOCHS, self.settings.most_epochs)
            return min(_HOLD_FRACTION, _HOLD_FRACTION * steps / (epochs * self.steps_per_epoch))
        first, last = self.cooldown_steps
        return min(
            1.0, _HOLD_FRACTION + (1 - _HOLD_FRACTION) * (self.step - first) / (last - first)
        )

    @property
    def is_over(self) -> bool:
        """Whether the run has reached its end."""
        if self.is_open_ended:
            return self.cooldown_steps is not None and self.step >= self.cooldown_steps[1]
        return self.fraction >= 1.0

    @property
    def progress(self) -> Progress:
        """How far the main phase has come, as techniques see it."""
        if self.main_start_step is None:
            return Progress(self.step, 0.0, is_pretraining=True)
        # The fraction of an open-ended run starts again with the main phase.
        skipped = 0.0 if self.is_open_ended else self.pretraining_share
        return Progress(self.step, max(0.0, (self.fraction - skipped) / (1 - skipped)))

    @property
    def is_main_phase(self) -> bool:
        """Whether the current weights belong to the main phase, and not to pretraining."""
        return self.main_start_step is not None and not self.is_restart_due

    @property
    def is_warmed_up(self) -> bool:
        """Whether the learning rate has reached its maximum in the main phase."""
        steps = self.step - (self.main_start_step or 0)
        return self.is_main_phase and steps >= self.settings.warmup_steps

    def learning_rate_factor(self) -> float:
        """Return the share of the full learning rate for the next step."""
        steps = self.step - (self.main_start_step or 0)
        warmup = min(1.0, (steps + 1) / max(1, self.settings.warmup_steps))
        if not self.is_open_ended:
            return warmup * 0.5 * (1 + math.cos(math.pi * self.progress.fraction))
        if self.cooldown_steps is None:
            return warmup
        first, last = self.cooldown_steps
        return warmup * max(0.0, 1 - (self.step - first) / (last - first))

    def evaluations_due(self) -> float:
        """Return how many evaluations on the validation split should have been made by now."""
        if self.is_open_ended:
            return self.step / min(self.settings.evaluate_steps, self.steps_per_epoch)
        return self.fraction * self.settings.evaluations

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as JSON."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "used": self.used,
            "cooldown": self.cooldown_steps,
            "start": self.main_start_step,
            "encoder_steps": self.encoder_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.used = state["used"]
        self.cooldown_steps = tuple(state["cooldown"]) if state["cooldown"] else None
        self.main_start_step = state["start"]
        self.encoder_steps = state["encoder_steps"]
        if self.clock_start is not None:
            self.start_clock()
