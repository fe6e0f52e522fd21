"""The plan's looks at the validation split, and a run that goes on where another stopped."""

import json

import pytest

from textvae.settings.training import TrainingSettings
from textvae.training.schedule import TrainingSchedule


def planned(steps_per_epoch=10, **settings):
    return TrainingSchedule(TrainingSettings(warmup_steps=4, **settings), steps_per_epoch)


def looks_of(plan, steps):
    """Return the steps after which a look is due, as the callback counts them."""
    due = []
    for _ in range(steps):
        before = int(plan.evaluations_due())
        plan.advance()
        if int(plan.evaluations_due()) > before:
            due.append(plan.step)
    return due


@pytest.mark.parametrize(("steps", "looks"), [(100, 8), (49, 7), (1000, 3), (10, 10), (97, 13)])
def test_a_bounded_run_takes_as_many_looks_as_wanted(steps, looks):
    """Evenly spread, the last at the end."""
    due = looks_of(planned(steps=steps, evaluations=looks), steps)
    assert len(due) == looks
    assert due[-1] == steps
    gaps = [after - before for before, after in zip([0, *due], due, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_a_run_of_fewer_steps_than_looks_looks_after_every_step():
    """Never twice at once."""
    assert looks_of(planned(steps=3, evaluations=8), 3) == [1, 2, 3]


def test_an_open_ended_run_looks_every_so_many_steps():
    """Until it is over."""
    assert looks_of(planned(steps_per_epoch=100, evaluate_steps=20), 90) == [20, 40, 60, 80]


def test_an_open_ended_run_looks_once_an_epoch_at_least():
    """A small corpus is not passed over many times without a look."""
    assert looks_of(planned(steps_per_epoch=7, evaluate_steps=1000), 30) == [7, 14, 21, 28]


@pytest.mark.parametrize("settings", [{"steps": 40}, {"epochs": 3}, {}])
@pytest.mark.parametrize("stop", [1, 12, 26])
def test_a_plan_goes_on_from_its_state_as_if_never_stopped(settings, stop):
    """Step by step the same learning rate, fraction, looks and end; through JSON, cool-down included."""

    def course(plan, until):
        seen = []
        while plan.step < until and not plan.is_over:
            if plan.is_open and plan.step == 20:
                plan.begin_cooldown()
            seen.append(
                (plan.step, plan.learning_rate_factor(), plan.fraction, plan.evaluations_due())
            )
            plan.advance()
        return seen

    unbroken = course(planned(**settings), 100)
    first, second = planned(**settings), planned(**settings)
    before = course(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + course(second, 100) == unbroken


def test_progress_is_the_step_and_the_fraction():
    """What techniques are told is what the plan knows."""
    plan = planned(steps=8)
    plan.advance()
    assert (plan.progress.step, plan.progress.fraction) == (1, 0.125)


@pytest.mark.parametrize(
    ("settings", "is_open"), [({}, True), ({"steps": 1}, False), ({"max_minutes": 1}, False)]
)
def test_only_a_run_without_bounds_is_open(settings, is_open):
    """Minutes are a bound too."""
    assert planned(**settings).is_open == is_open
