"""The schedule: when evaluations are due, and how it continues after an interruption."""

import json

import pytest

from textvae.settings.training import TrainingSettings
from textvae.training.schedule import TrainingSchedule


def make_schedule(steps_per_epoch=10, **settings):
    """Return a schedule with a warm-up of four steps."""
    return TrainingSchedule(TrainingSettings(warmup_steps=4, **settings), steps_per_epoch)


def list_evaluation_steps(schedule, steps):
    """Return the steps after which an evaluation is due, as the callback counts them."""
    due = []
    for _ in range(steps):
        before = int(schedule.evaluations_due())
        schedule.advance()
        if int(schedule.evaluations_due()) > before:
            due.append(schedule.step)
    return due


@pytest.mark.parametrize(
    ("steps", "evaluations"),
    [(100, 8), (49, 7), (1000, 3), (10, 10), (97, 13), (100, 100), (50, 50)],
)
def test_a_bounded_run_is_evaluated_as_often_as_set(steps, evaluations):
    """The evaluations are evenly spread, and the last is at the end."""
    due = list_evaluation_steps(make_schedule(steps=steps, evaluations=evaluations), steps)
    assert len(due) == evaluations
    assert due[-1] == steps
    gaps = [after - before for before, after in zip([0, *due], due, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_a_run_of_fewer_steps_than_evaluations_is_evaluated_every_step():
    """It is never evaluated twice after the same step."""
    assert list_evaluation_steps(make_schedule(steps=3, evaluations=8), 3) == [1, 2, 3]


def test_an_open_ended_run_is_evaluated_every_evaluate_steps():
    """The interval stays the same during the run."""
    schedule = make_schedule(steps_per_epoch=100, evaluate_steps=20)
    assert list_evaluation_steps(schedule, 90) == [20, 40, 60, 80]


def test_an_open_ended_run_is_evaluated_at_least_once_per_epoch():
    """Training does not go over a small corpus many times without an evaluation."""
    schedule = make_schedule(steps_per_epoch=7, evaluate_steps=1000)
    assert list_evaluation_steps(schedule, 30) == [7, 14, 21, 28]


@pytest.mark.parametrize("settings", [{"steps": 40}, {"epochs": 3}, {}])
@pytest.mark.parametrize("stop", [1, 12, 26])
def test_a_schedule_continues_from_its_state_as_if_unbroken(settings, stop):
    """Its state survives JSON; all values are the same at each step, also in the cool-down."""

    def advance(schedule, until):
        values = []
        while schedule.step < until and not schedule.is_over:
            if schedule.is_open_ended and schedule.step == 20:
                schedule.begin_cooldown()
            factor = schedule.learning_rate_factor()
            values.append((schedule.step, factor, schedule.fraction, schedule.evaluations_due()))
            schedule.advance()
        return values

    unbroken = advance(make_schedule(**settings), 100)
    first = make_schedule(**settings)
    second = make_schedule(**settings)
    before = advance(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + advance(second, 100) == unbroken


def test_progress_is_the_step_and_the_fraction():
    """Techniques see the step and the fraction of the schedule."""
    schedule = make_schedule(steps=8)
    schedule.advance()
    assert (schedule.progress.step, schedule.progress.fraction) == (1, 0.125)


@pytest.mark.parametrize(
    ("settings", "is_open_ended"), [({}, True), ({"steps": 1}, False), ({"max_minutes": 1}, False)]
)
def test_only_a_run_without_bounds_is_open_ended(settings, is_open_ended):
    """A number of minutes is a bound, too."""
    assert make_schedule(**settings).is_open_ended == is_open_ended
