"""The plan: warm-up, cosine, clock, open end; how far a run is and what follows from it."""

import math

import pytest

from textvae.settings.training import TrainingSettings
from textvae.training import schedule as plan_module
from textvae.training.schedule import TrainingSchedule


def planned(steps_per_epoch=10, **settings):
    return TrainingSchedule(TrainingSettings(**{"warmup_steps": 4, **settings}), steps_per_epoch)


def run(plan, most=10_000):
    """Advance to the end; return the learning rate's factor at each step."""
    factors = []
    while not plan.is_over:
        factors.append(plan.learning_rate_factor())
        plan.advance()
        assert len(factors) < most
    return factors


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that moves when the test says so."""
    now = [1000.0]
    monkeypatch.setattr(plan_module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"steps": 7}, 7),
        ({"epochs": 3}, 30),
        ({"epochs": 0.25}, 3),
        ({"epochs": 2, "steps": 7}, 7),
        ({"epochs": 2, "steps": 70}, 20),
    ],
)
def test_a_bounded_run_ends_at_its_first_bound(settings, steps):
    """A started step counts as one."""
    assert len(run(planned(**settings))) == steps


def test_the_learning_rate_warms_up_in_equal_parts():
    """The first step already learns, and the last of the warm-up is at full height but for the cosine."""
    plan = planned(steps=10**6, warmup_steps=4)
    factors = []
    for _ in range(6):
        factors.append(plan.learning_rate_factor())
        plan.advance()
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1], abs=1e-6)


def test_without_warm_up_the_first_step_is_at_full_height():
    """Zero steps of it divide nothing by zero."""
    plan = planned(steps=10, warmup_steps=0)
    assert plan.learning_rate_factor() == 1
    assert plan.is_warmed_up


def test_a_bounded_run_follows_a_cosine_to_zero():
    """Half of the height at half of the way, nothing at the end."""
    plan = planned(steps=100, warmup_steps=0)
    factors = run(plan)
    assert factors == pytest.approx(
        [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    )
    assert plan.learning_rate_factor() == pytest.approx(0, abs=1e-12)
    assert plan.fraction == 1


def test_a_run_bounded_by_minutes_goes_by_the_clock(clock):
    """However long a step takes."""
    plan = planned(max_minutes=2, warmup_steps=0)
    plan.start_clock()
    fractions = []
    for seconds in (12, 48, 30, 40):
        clock[0] += seconds
        plan.advance()
        fractions.append(plan.fraction)
    assert fractions == pytest.approx([0.1, 0.5, 0.75, 1])
    assert plan.is_over
    assert plan.learning_rate_factor() == pytest.approx(0, abs=1e-12)


def test_the_bound_that_comes_first_rules_clock_and_steps(clock):
    """Whichever is further gone."""
    plan = planned(max_minutes=1, steps=10)
    plan.start_clock()
    clock[0] += 30
    plan.advance()
    assert plan.fraction == 0.5
    for _ in range(7):
        plan.advance()
    assert plan.fraction == 0.8


def test_time_before_the_clock_starts_is_no_training(clock):
    """Preparing a corpus costs none of the minutes."""
    plan = planned(max_minutes=1)
    clock[0] += 500
    plan.start_clock()
    clock[0] += 6
    plan.advance()
    assert plan.fraction == pytest.approx(0.1)


def test_a_resumed_run_has_used_what_it_used(clock):
    """The time between does not count, whether the clock starts before the state is read or after."""
    plan = planned(max_minutes=1)
    plan.start_clock()
    clock[0] += 24
    plan.advance()
    for is_started_first in (True, False):
        clock[0] += 10_000
        resumed = planned(max_minutes=1)
        if is_started_first:
            resumed.start_clock()
        resumed.load_state_dict(plan.state_dict())
        if not is_started_first:
            resumed.start_clock()
        clock[0] += 6
        resumed.advance()
        assert resumed.fraction == pytest.approx(0.5)


def test_an_open_ended_run_holds_until_it_cools_down():
    """At full height for as long as it takes, well below its bound."""
    plan = planned(most_epochs=1000)
    factors = []
    for _ in range(2000):
        factors.append(plan.learning_rate_factor())
        plan.advance()
    assert set(factors[4:]) == {1.0}
    assert not plan.is_over
    assert plan.fraction < 1


def test_an_open_ended_run_that_nears_its_bound_cools_down_within_it():
    """However long it keeps improving: the learning rate has come to zero by the last epoch."""
    plan = planned(most_epochs=20)
    steps = 0
    while not plan.is_over:
        plan.advance()
        steps += 1
    assert steps <= 20 * plan.steps_per_epoch
    assert plan.learning_rate_factor() == 0


def test_an_open_ended_run_cools_down_linearly_over_a_quarter_of_its_steps():
    """From full height to nothing; then it is over."""
    plan = planned()
    for _ in range(40):
        plan.advance()
    plan.begin_cooldown()
    assert run(plan) == pytest.approx([1 - step / 10 for step in range(10)])
    assert plan.step == 50
    assert (plan.fraction, plan.learning_rate_factor()) == (1, 0)


def test_a_cooldown_begins_once():
    """A further look without improvement does not put the end off."""
    plan = planned()
    for _ in range(40):
        plan.advance()
    plan.begin_cooldown()
    plan.advance()
    plan.begin_cooldown()
    assert plan.cooldown == (40, 50)


def test_a_cooldown_before_the_first_steps_still_ends():
    """It is one step long at least."""
    plan = planned()
    plan.begin_cooldown()
    assert len(run(plan)) == 1


@pytest.mark.parametrize("settings", [{"steps": 50}, {"epochs": 2.5}, {}])
def test_the_fraction_never_goes_back(settings):
    """Schedules hang on it, also where an open-ended run turns to its end."""
    plan = planned(**settings)
    fractions = []
    for _ in range(50):
        fractions.append(plan.fraction)
        plan.advance()
    if plan.is_open:
        plan.begin_cooldown()
        while not plan.is_over:
            fractions.append(plan.fraction)
            plan.advance()
    fractions.append(plan.fraction)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
