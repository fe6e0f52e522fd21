"""The plan of a run: how far it has come, what the learning rate is, when it ends.

A bounded run (by steps, epochs or minutes) warms up, then follows a cosine to
zero. An open-ended run warms up and holds; once the validation ELBO stops
improving it cools down linearly, over a quarter of the steps it has taken, and
ends. Where a prelude comes first, at a held learning rate, the decoder then
begins anew, and warm-up, cosine and what techniques are told begin there.
"""

import math
import time
from typing import Any

from textvae.objective.techniques import Progress
from textvae.settings.training import TrainingSettings

_HOLD_FRACTION = 0.75  # an open-ended run's fraction while it still holds


_OPEN_ENDED_EPOCHS = 30  # over which that fraction is reached


_COOLDOWN_SHARE = 0.25  # of the steps taken before it


class TrainingSchedule:
    """Where a run stands between its start and its end."""

    def __init__(
        self, settings: TrainingSettings, steps_per_epoch: int, pretraining_share: float = 0.0
    ) -> None:
        self.settings = settings
        self.pretraining_share = pretraining_share  # share of the run
        self.start = (
            None if pretraining_share else 0
        )  # step at which the run proper begins; None: not yet known
        self.encoder_steps = 0  # of the encoder alone
        self.steps_per_epoch = steps_per_epoch
        self.step = 0
        self.seconds = 0.0  # of training, up to the end of the last step
        self.used = 0.0  # the same, with what came after that step as far as it is known
        self.clock_start: float | None = None
        self.cooldown: tuple[int, int] | None = None  # first and last step
        epochs = (
            math.inf if settings.epochs is None else math.ceil(settings.epochs * steps_per_epoch)
        )
        self.last_step = min(epochs, math.inf if settings.steps is None else settings.steps)

    @property
    def is_open(self) -> bool:
        """Whether nothing bounds the run but its own success."""
        return self.settings.max_minutes is None and self.last_step == math.inf

    def start_clock(self) -> None:
        """Begin to count time; what an interrupted run has used stays used."""
        self.clock_start = time.monotonic() - self.used

    def note_time(self) -> None:
        """Count the time since the last step as used, without moving schedules on: they go by whole steps.

        Evaluations take time from a run bounded by minutes. A checkpoint must know of it, or a resumed run
        would have that time a second time.
        """
        if self.clock_start is not None:
            self.used = time.monotonic() - self.clock_start

    def advance(self) -> None:
        """Count one more step."""
        self.step += 1
        if (
            self.is_open
            and self.step * (1 + _COOLDOWN_SHARE)
            >= self.settings.most_epochs * self.steps_per_epoch - 1
        ):
            self.begin_cooldown()  # the bound leaves room for it
        if self.clock_start is not None:
            self.note_time()
            self.seconds = self.used

    def end_pretraining(self) -> None:
        """Let the run proper begin with the next step, once the prelude's share is over."""
        if self.start is None and self.fraction >= self.pretraining_share:
            self.start = self.step

    @property
    def is_restart_due(self) -> bool:
        """Whether the next step is the first of the run proper, and the decoder is still the prelude's."""
        return self.pretraining_share > 0 and self.step == self.start

    def begin_cooldown(self) -> None:
        """Start the end of an open-ended run."""
        if self.cooldown is None:
            self.cooldown = (self.step, self.step + max(1, round(_COOLDOWN_SHARE * self.step)))

    @property
    def fraction(self) -> float:
        """Share of the run that is over, 0 to 1."""
        if self.is_open:
            return self.open_ended_fraction
        by_clock = (
            0.0
            if self.settings.max_minutes is None
            else self.seconds / (60 * self.settings.max_minutes)
        )
        return min(1.0, max(self.step / self.last_step, by_clock))

    @property
    def open_ended_fraction(self) -> float:
        """The same for a run whose end is not known yet."""
        if self.cooldown is None:
            steps = self.step - (self.start or 0)
            return min(
                _HOLD_FRACTION,
                _HOLD_FRACTION
                * steps
                / (min(_OPEN_ENDED_EPOCHS, self.settings.most_epochs) * self.steps_per_epoch),
            )
        first, last = self.cooldown
        return min(
            1.0, _HOLD_FRACTION + (1 - _HOLD_FRACTION) * (self.step - first) / (last - first)
        )

    @property
    def is_over(self) -> bool:
        """Whether the run has reached its end."""
        if self.is_open:
            return self.cooldown is not None and self.step >= self.cooldown[1]
        return self.fraction >= 1.0

    @property
    def progress(self) -> Progress:
        """What techniques are told."""
        if self.start is None:
            return Progress(self.step, 0.0, is_pretraining=True)
        over = 0.0 if self.is_open else self.pretraining_share  # an open-ended run counts anew
        return Progress(self.step, max(0.0, (self.fraction - over) / (1 - over)))

    @property
    def is_main_phase(self) -> bool:
        """Whether the model as it is now is the run's own, and not what a prelude has left."""
        return self.start is not None and not self.is_restart_due

    @property
    def is_warmed_up(self) -> bool:
        """Whether the learning rate has been at its height, in the run proper."""
        return self.is_main_phase and self.step - (self.start or 0) >= self.settings.warmup_steps

    def learning_rate_factor(self) -> float:
        """Return the share of the full learning rate for the next step."""
        warmth = min(1.0, (self.step - (self.start or 0) + 1) / max(1, self.settings.warmup_steps))
        if not self.is_open:
            return warmth * 0.5 * (1 + math.cos(math.pi * self.progress.fraction))
        if self.cooldown is None:
            return warmth
        first, last = self.cooldown
        return warmth * max(0.0, 1 - (self.step - first) / (last - first))

    def evaluations_due(self) -> float:
        """Return how many looks at the validation split should have been taken by now."""
        if self.is_open:
            return self.step / min(self.settings.evaluate_steps, self.steps_per_epoch)
        return self.fraction * self.settings.evaluations

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know, as JSON."""
        course = {
            "step": self.step,
            "seconds": self.seconds,
            "used": self.used,
            "cooldown": self.cooldown,
        }
        return {**course, "start": self.start, "encoder_steps": self.encoder_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over."""
        self.step, self.seconds, self.used = state["step"], state["seconds"], state["used"]
        self.start, self.encoder_steps = state["start"], state["encoder_steps"]
        self.cooldown = tuple(state["cooldown"]) if state["cooldown"] else None
        if self.clock_start is not None:
            self.start_clock()
