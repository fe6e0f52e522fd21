"""The schedule of a run: how far it has come, its learning rate, and when it ends.

In a run bounded by steps, epochs or minutes, the learning rate warms up and then
follows a cosine to zero. In an open-ended run it warms up and stays constant until
the validation ELBO stops improving. Then it falls linearly to zero, over a quarter
of the steps taken so far, and the run ends: this is the cool-down.

A run may begin with pretraining, at a constant learning rate after the warm-up.
Then the decoder gets fresh weights, and the main phase begins. It has a warm-up and
a cosine of its own, and techniques see its progress counted from zero.
"""

import math
import time
from typing import Any

from textvae.objective.techniques import Progress
from textvae.settings.training import TrainingSettings

# Nobody knows how long an open-ended run will be. So its fraction grows to _HOLD_FRACTION in
# _EPOCHS_UNTIL_HOLD epochs and stays there until the cool-down, in which it grows to 1.
_HOLD_FRACTION = 0.75
_EPOCHS_UNTIL_HOLD = 30
_COOLDOWN_SHARE = 0.25  # length of the cool-down, as a share of the steps taken before it
# The share of the minutes of a run that it trains at least, however long its preparation took.
_LEAST_SHARE_OF_TRAINING = 0.1


class TrainingSchedule:
    """How far a run has come between its start and its end.

    Args:
        settings: how the run is bounded, its warm-up, and how often it is evaluated.
        steps_per_epoch: optimizer steps in one pass over the corpus; for a stream, which has no
            passes, a number that no run reaches.
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
        self.step = 0  # optimizer steps taken so far
        self.encoder_steps = 0  # additional steps of the encoder alone
        self.seconds = 0.0  # of training, up to the end of the last step
        self.used_seconds = 0.0  # of training, up to the last call of `note_time`
        # Before the first step, in which the states of frozen parts were computed. They are a part of
        # the minutes that bound a run, but not of its schedules.
        self.preparation_seconds = 0.0
        # When the run would have started if it had never been interrupted; None before the start.
        self.clock_start: float | None = None
        self.cooldown_steps: tuple[int, int] | None = None  # first and last step
        # The last step of a run bounded by steps or epochs; infinite for other runs.
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

    @property
    def phase_steps(self) -> int:
        """Steps taken since the run or its main phase began, whichever is later."""
        return self.step - (self.main_start_step or 0)

    def start_clock(self) -> None:
        """Start the clock; the seconds that a resumed run has used already are counted."""
        self.clock_start = time.monotonic() - self.used_seconds

    def note_time(self) -> None:
        """Count the time since the last step as used, without a change of the learning rate.

        Evaluations use up some of the minutes that bound a run. A checkpoint has to record this
        time, or a resumed run would get it a second time. The learning rate depends only on the
        time at the end of a step, so that it does not depend on when a checkpoint was written.
        """
        if self.clock_start is not None:
            self.used_seconds = time.monotonic() - self.clock_start

    def advance(self) -> None:
        """Count one more step."""
        self.step += 1
        if self.is_open_ended:
            # The cool-down must end before the bound on the epochs, so this is the last moment to
            # begin it. One step is subtracted because the length of the cool-down is rounded.
            max_steps = self.settings.most_epochs * self.steps_per_epoch
            if self.step * (1 + _COOLDOWN_SHARE) >= max_steps - 1:
                self.begin_cooldown()
        if self.clock_start is not None:
            self.note_time()
            self.seconds = self.used_seconds

    def end_pretraining(self) -> None:
        """Begin the main phase with the next step if pretraining has had its share of the run."""
        if self.main_start_step is None and self.fraction >= self.pretraining_share:
            self.main_start_step = self.step

    @property
    def is_restart_due(self) -> bool:
        """Whether the next step begins the main phase, so the decoder needs fresh weights."""
        return self.pretraining_share > 0 and self.step == self.main_start_step

    def begin_cooldown(self) -> None:
        """Begin the cool-down of an open-ended run, unless it has begun already."""
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
            total = 60 * self.settings.max_minutes
            left = max(total - self.preparation_seconds, _LEAST_SHARE_OF_TRAINING * total)
            by_clock = self.seconds / left
        return min(1.0, max(by_steps, by_clock))

    @property
    def open_ended_fraction(self) -> float:
        """The fraction of an open-ended run: it waits at `_HOLD_FRACTION` for the cool-down."""
        if self.cooldown_steps is None:
            epochs = min(_EPOCHS_UNTIL_HOLD, self.settings.most_epochs)
            steps_until_hold = epochs * self.steps_per_epoch
            return min(_HOLD_FRACTION, _HOLD_FRACTION * self.phase_steps / steps_until_hold)
        first, last = self.cooldown_steps
        fraction = _HOLD_FRACTION + (1 - _HOLD_FRACTION) * (self.step - first) / (last - first)
        return min(1.0, fraction)

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
        # The fraction of an open-ended run starts again by itself when the main phase begins.
        skipped = 0.0 if self.is_open_ended else self.pretraining_share
        return Progress(self.step, max(0.0, (self.fraction - skipped) / (1 - skipped)))

    @property
    def is_main_phase(self) -> bool:
        """Whether the current weights belong to the main phase, and not to pretraining."""
        return self.main_start_step is not None and not self.is_restart_due

    @property
    def is_warmed_up(self) -> bool:
        """Whether the learning rate has reached its maximum in the main phase."""
        return self.is_main_phase and self.phase_steps >= self.settings.warmup_steps

    def learning_rate_factor(self) -> float:
        """Return the learning rate of the next step, as a share of the full learning rate."""
        warmup = min(1.0, (self.phase_steps + 1) / max(1, self.settings.warmup_steps))
        if not self.is_open_ended:
            # During pretraining this fraction is 0, and so the cosine is 1.
            return warmup * 0.5 * (1 + math.cos(math.pi * self.progress.fraction))
        if self.cooldown_steps is None:
            return warmup
        first, last = self.cooldown_steps
        return warmup * max(0.0, 1 - (self.step - first) / (last - first))

    def evaluations_due(self) -> float:
        """Return how many evaluations should have been made by now.

        The next one is due when the whole part of this number grows.
        """
        if self.is_open_ended:
            return self.step / min(self.settings.evaluate_steps, self.steps_per_epoch)
        return self.fraction * self.settings.evaluations

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as JSON."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "used": self.used_seconds,
            "preparation": self.preparation_seconds,
            "cooldown": self.cooldown_steps,
            "start": self.main_start_step,
            "encoder_steps": self.encoder_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.used_seconds = state["used"]
        self.preparation_seconds = state.get("preparation", 0.0)
        self.cooldown_steps = tuple(state["cooldown"]) if state["cooldown"] else None
        self.main_start_step = state["start"]
        self.encoder_steps = state["encoder_steps"]
        # A clock that runs already has to count the seconds of this state.
        if self.clock_start is not None:
            self.start_clock()
