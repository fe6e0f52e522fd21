"""The schedule of a run: how far it has come, its learning rate, and when it ends.

In a run bounded by steps, epochs or minutes, the learning rate warms up and then
follows a cosine to zero. In an open-ended run it warms up and stays constant until
the validation ELBO stops improving. Then it falls linearly to zero, over a quarter
of the steps taken so far, and the run ends: this is the cool-down.

A run may begin with pretraining, at a constant learning rate after the warm-up.
Then the decoder gets fresh weights, and the main phase begins. It has a warm-up and
a cosine of its own, and techniques see its progress counted from zero.

A run may end with a refit of the posterior, which the main phase makes room for: its
cosine, or the cool-down, ends where the refit begins. The refit has a cosine of its own,
from a lower learning rate and without a warm-up.

A resumed run may get a later end. From then on it has the learning rate that a run of
that length has at the same step. If it continues a finished run, whose optimizer was not
kept, a short warm-up comes first.
"""

import math
import time
from typing import Any

from textvae.objective.techniques import Progress
from textvae.objective.techniques.base import Refit
from textvae.settings.training import TrainingSettings

# Nobody knows how long an open-ended run will be. So its fraction grows to _HOLD_FRACTION in
# _EPOCHS_UNTIL_HOLD epochs and stays there until the cool-down, in which it grows to 1.
_HOLD_FRACTION = 0.75
_EPOCHS_UNTIL_HOLD = 30
_COOLDOWN_SHARE = 0.25  # length of the cool-down, as a share of the steps taken before it
# The optimizer's averages of squared gradients settle within about as many steps.
_MOST_RESTART_WARMUP_STEPS = 50
# The share of the minutes of a run that it trains at least, however long its preparation took.
_LEAST_SHARE_OF_TRAINING = 0.1


def read_clock(settings: TrainingSettings) -> float:
    """Return the seconds of the clock that bounds the run; only differences mean something."""
    if settings.clock == "processor":
        return time.process_time()
    return time.monotonic()


class TrainingSchedule:
    """How far a run has come between its start and its end.

    Args:
        settings: how the run is bounded, its warm-up, and how often it is evaluated.
        steps_per_epoch: optimizer steps in one pass over the corpus; for a stream, which has no
            passes, a number that no run reaches.
        pretraining_share: the share of the run that is pretraining.
        refit: the refit of the posterior at the end of the run, or None.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        steps_per_epoch: int,
        pretraining_share: float = 0.0,
        refit: Refit | None = None,
    ) -> None:
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.pretraining_share = pretraining_share
        self.refit = refit
        self.refit_share = refit.share if refit else 0.0
        # The step at which the main phase begins; None until it is known.
        self.main_start_step = None if pretraining_share else 0
        # The step at which the refit begins; None before it, and in a run without one.
        self.refit_start_step: int | None = None
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
        # The step at which the optimizer started again; None in a run that never finished before.
        self.restart_step: int | None = None
        self.is_extended = False  # whether the run has a later end than it began with
        self.restart_kept_step: int | None = None  # that of the model which it restarted from
        self.is_ended_early = False
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

    def end_early(self) -> None:
        """End the run at its current step."""
        self.is_ended_early = True

    def start_clock(self) -> None:
        """Start the clock; the seconds that a resumed run has used already are counted."""
        self.clock_start = read_clock(self.settings) - self.used_seconds

    def note_time(self) -> None:
        """Count the time since the last step as used, without a change of the learning rate.

        Evaluations use up some of the minutes that bound a run. A checkpoint has to record this
        time, or a resumed run would get it a second time. The learning rate depends only on the
        time at the end of a step, so that it does not depend on when a checkpoint was written.
        """
        if self.clock_start is not None:
            self.used_seconds = read_clock(self.settings) - self.clock_start

    def advance(self) -> None:
        """Count one more step."""
        self.step += 1
        if self.is_open_ended:
            # The run must end before the bound on the epochs, so this is the last moment to begin
            # the cool-down.
            max_steps = self.settings.most_epochs * self.steps_per_epoch
            if self._find_last_step(self.step + 1) > max_steps:
                self.begin_cooldown()
        if self.clock_start is not None:
            self.note_time()
            self.seconds = self.used_seconds

    def begin_phases(self) -> None:
        """Begin the main phase or the refit with the next step, if the phase before it is over."""
        fraction = self.fraction
        refit_start = 1 - self.refit_share
        if self.is_open_ended:
            # Its refit does not count, because nobody knows yet how long the run will be.
            fraction = self.open_ended_fraction
            refit_start = 1.0
        if self.main_start_step is None:
            if fraction >= self.pretraining_share:
                self.main_start_step = self.step
        elif self.refit_share and self.refit_start_step is None and fraction >= refit_start:
            self.refit_start_step = self.step

    @property
    def is_restart_due(self) -> bool:
        """Whether the next step begins the main phase, so the decoder needs fresh weights."""
        return self.pretraining_share > 0 and self.step == self.main_start_step

    @property
    def is_refit_due(self) -> bool:
        """Whether the next step begins the refit of the posterior."""
        return self.step == self.refit_start_step

    @property
    def is_refitted(self) -> bool:
        """Whether the current weights come from the refit of the posterior."""
        return self.refit_start_step is not None and self.step > self.refit_start_step

    def begin_cooldown(self) -> None:
        """Begin the cool-down of an open-ended run, unless it has begun already."""
        if self.cooldown_steps is None:
            self.cooldown_steps = (self.step, self.step + _count_cooldown_steps(self.step))

    def _count_refit_steps(self, before: int) -> int:
        """Return the length of an open-ended run's refit after so many steps."""
        if not self.refit_share:
            return 0
        return max(1, round(before * self.refit_share / (1 - self.refit_share)))

    def _find_last_step(self, cooldown_start: int) -> int:
        """Return the last step of an open-ended run whose cool-down begins at a step."""
        main = cooldown_start + _count_cooldown_steps(cooldown_start)
        return main + self._count_refit_steps(main)

    @property
    def fraction(self) -> float:
        """Share of the run that is over, from 0 to 1, with pretraining and refit."""
        if self.is_open_ended:
            main = self.open_ended_fraction * (1 - self.refit_share)
            return main + self.refit_share * self.refit_fraction
        by_steps = self.step / self.last_step
        by_clock = 0.0
        if self.settings.max_minutes is not None:
            total = 60 * self.settings.max_minutes
            left = max(total - self.preparation_seconds, _LEAST_SHARE_OF_TRAINING * total)
            by_clock = self.seconds / left
        return min(1.0, max(by_steps, by_clock))

    @property
    def open_ended_fraction(self) -> float:
        """The fraction of an open-ended run without its refit.

        It waits at `_HOLD_FRACTION` for the cool-down.
        """
        if self.cooldown_steps is None:
            epochs = min(_EPOCHS_UNTIL_HOLD, self.settings.most_epochs)
            steps_until_hold = epochs * self.steps_per_epoch
            return min(_HOLD_FRACTION, _HOLD_FRACTION * self.phase_steps / steps_until_hold)
        first, last = self.cooldown_steps
        fraction = _HOLD_FRACTION + (1 - _HOLD_FRACTION) * (self.step - first) / (last - first)
        return min(1.0, fraction)

    @property
    def refit_fraction(self) -> float:
        """Share of the refit that is over, from 0 to 1."""
        if self.refit_start_step is None:
            return 0.0
        if self.is_open_ended:
            length = self._count_refit_steps(self.refit_start_step)
            return min(1.0, (self.step - self.refit_start_step) / length)
        return max(0.0, 1 - (1 - self.fraction) / self.refit_share)

    @property
    def is_over(self) -> bool:
        """Whether the run has reached its end."""
        if self.is_ended_early:
            return True
        if not self.is_open_ended:
            return self.fraction >= 1.0
        if self.refit_share:
            return self.refit_fraction >= 1.0
        return self.cooldown_steps is not None and self.step >= self.cooldown_steps[1]

    @property
    def progress(self) -> Progress:
        """How far the main phase has come, as techniques see it."""
        if self.main_start_step is None:
            return Progress(self.step, 0.0, is_pretraining=True)
        if self.refit_start_step is not None:
            return Progress(self.step, 1.0, is_refit=True)
        if self.is_open_ended:
            # It starts again by itself when the main phase begins.
            return Progress(self.step, self.open_ended_fraction)
        start = self.pretraining_share
        if self.is_extended:
            # The run was made longer, so its pretraining is a smaller share of it.
            start = min(start, self.fraction * self.main_start_step / max(1, self.step))
        fraction = (self.fraction - start) / (1 - start - self.refit_share)
        return Progress(self.step, min(1.0, max(0.0, fraction)))

    @property
    def is_main_phase(self) -> bool:
        """Whether the current weights belong to the main phase, and to no other one."""
        has_begun = self.main_start_step is not None and not self.is_restart_due
        return has_begun and not self.is_refitted

    @property
    def is_warmed_up(self) -> bool:
        """Whether the main phase has come past its warm-up, or is over."""
        if self.is_refitted:
            return True
        return self.is_main_phase and self.phase_steps >= self.settings.warmup_steps

    def learning_rate_factor(self) -> float:
        """Return the learning rate of the next step, as a share of the full learning rate."""
        return self._restart_warmup() * self._scheduled_factor()

    def _restart_warmup(self) -> float:
        """Return the factor of the warm-up after the optimizer has started again."""
        if self.restart_step is None:
            return 1.0
        length = min(self.settings.warmup_steps, _MOST_RESTART_WARMUP_STEPS)
        return min(1.0, (self.step - self.restart_step + 1) / max(1, length))

    def _scheduled_factor(self) -> float:
        """Return the factor of warm-up, cosine, cool-down and refit."""
        if self.refit_start_step is not None:
            assert self.refit is not None, "only a run with a refit is refitted"
            return self.refit.rate * 0.5 * (1 + math.cos(math.pi * self.refit_fraction))
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
        # 29 / 100 * 100 is a little less than 29.
        return self.fraction * self.settings.evaluations + 1e-9

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as JSON."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "used": self.used_seconds,
            "preparation": self.preparation_seconds,
            "cooldown": self.cooldown_steps,
            "start": self.main_start_step,
            "refit_start": self.refit_start_step,
            "encoder_steps": self.encoder_steps,
            "restart": self.restart_step,
            "restart_kept": self.restart_kept_step,
            "epochs": self.step / self.steps_per_epoch,
            "bounds": self._list_bounds(),
            "is_extended": self.is_extended,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.used_seconds = state["used"]
        self.preparation_seconds = state.get("preparation", 0.0)
        self.cooldown_steps = tuple(state["cooldown"]) if state["cooldown"] else None
        self.main_start_step = state["start"]
        # Checkpoints of earlier versions have no such entry.
        self.refit_start_step = state.get("refit_start")
        self.encoder_steps = state["encoder_steps"]
        self.restart_step = state.get("restart")
        self.restart_kept_step = state.get("restart_kept")
        self.is_extended = state.get("is_extended", self.restart_step is not None)
        if state.get("bounds") not in (None, self._list_bounds()):
            # The run has a later end, so it goes back to the main phase.
            self.cooldown_steps = None
            self.refit_start_step = None
            self.is_extended = True
        # A clock that runs already has to count the seconds of this state.
        if self.clock_start is not None:
            self.start_clock()

    def _list_bounds(self) -> list[float | None]:
        """Return what bounds the run."""
        return [self.settings.epochs, self.settings.steps, self.settings.max_minutes]


def _count_cooldown_steps(start: int) -> int:
    """Return the length of a cool-down that begins at a step."""
    return max(1, round(_COOLDOWN_SHARE * start))
