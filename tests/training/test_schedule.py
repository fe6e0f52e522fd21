"""The schedule: warm-up, cosine, clock, cool-down, and the fraction of the run that is over."""

import math
import time

import pytest

from textvae.settings.training import TrainingSettings
from textvae.training.schedule import TrainingSchedule


def make_schedule(steps_per_epoch=10, **settings):
    """Return a schedule with a warm-up of four steps by default."""
    return TrainingSchedule(TrainingSettings(**{"warmup_steps": 4, **settings}), steps_per_epoch)


def run_to_end(schedule, max_steps=10_000):
    """Advance to the end; return the factor of the learning rate at each step."""
    factors = []
    while not schedule.is_over:
        factors.append(schedule.learning_rate_factor())
        schedule.advance()
        assert len(factors) < max_steps
    return factors


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that only the test advances."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
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
    """A fraction of a step counts as a whole step."""
    assert len(run_to_end(make_schedule(**settings))) == steps


def test_the_learning_rate_warms_up_in_equal_parts():
    """The first step already learns, and the last one of the warm-up has the full rate."""
    schedule = make_schedule(steps=10**6, warmup_steps=4)
    factors = []
    for _ in range(6):
        factors.append(schedule.learning_rate_factor())
        schedule.advance()
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1], abs=1e-6)


def test_without_warm_up_the_first_step_has_the_full_learning_rate():
    """A warm-up of zero steps does not divide by zero."""
    schedule = make_schedule(steps=10, warmup_steps=0)
    assert schedule.learning_rate_factor() == 1
    assert schedule.is_warmed_up


def test_a_bounded_run_follows_a_cosine_to_zero():
    """The learning rate is half in the middle of the run, and zero at the end."""
    schedule = make_schedule(steps=100, warmup_steps=0)
    factors = run_to_end(schedule)
    assert factors == pytest.approx(
        [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    )
    assert schedule.learning_rate_factor() == pytest.approx(0, abs=1e-12)
    assert schedule.fraction == 1


def test_a_run_bounded_by_minutes_follows_the_clock(clock):
    """The fraction does not depend on how long each step takes."""
    schedule = make_schedule(max_minutes=2, warmup_steps=0)
    schedule.start_clock()
    fractions = []
    for seconds in (12, 48, 30, 40):
        clock[0] += seconds
        schedule.advance()
        fractions.append(schedule.fraction)
    assert fractions == pytest.approx([0.1, 0.5, 0.75, 1])
    assert schedule.is_over
    assert schedule.learning_rate_factor() == pytest.approx(0, abs=1e-12)


def test_the_minutes_of_a_run_include_the_time_before_its_first_step(clock):
    """A run of one minute of which half is gone trains for the rest, with whole schedules."""
    schedule = make_schedule(max_minutes=1)
    schedule.preparation_seconds = 30.0
    schedule.start_clock()
    assert schedule.fraction == 0.0
    clock[0] += 15
    schedule.advance()
    assert schedule.fraction == 0.5
    clock[0] += 15
    schedule.advance()
    assert schedule.is_over


def test_a_run_trains_even_if_its_preparation_took_all_of_its_minutes(clock):
    """It has a tenth of them."""
    schedule = make_schedule(max_minutes=1)
    schedule.preparation_seconds = 90.0
    schedule.start_clock()
    clock[0] += 3
    schedule.advance()
    assert schedule.fraction == 0.5


def test_with_two_bounds_the_fraction_is_the_larger_one(clock):
    """It is that of the clock first, and later that of the steps."""
    schedule = make_schedule(max_minutes=1, steps=10)
    schedule.start_clock()
    clock[0] += 30
    schedule.advance()
    assert schedule.fraction == 0.5
    for _ in range(7):
        schedule.advance()
    assert schedule.fraction == 0.8


def test_time_before_the_clock_starts_does_not_count(clock):
    """The preparation of a corpus does not use up the minutes."""
    schedule = make_schedule(max_minutes=1)
    clock[0] += 500
    schedule.start_clock()
    clock[0] += 6
    schedule.advance()
    assert schedule.fraction == pytest.approx(0.1)


def test_a_resumed_run_counts_the_time_before_the_interruption(clock):
    """The interruption does not count, even if the clock starts before the state is loaded."""
    schedule = make_schedule(max_minutes=1)
    schedule.start_clock()
    clock[0] += 24
    schedule.advance()
    for is_started_first in (True, False):
        clock[0] += 10_000
        resumed = make_schedule(max_minutes=1)
        if is_started_first:
            resumed.start_clock()
        resumed.load_state_dict(schedule.state_dict())
        if not is_started_first:
            resumed.start_clock()
        clock[0] += 6
        resumed.advance()
        assert resumed.fraction == pytest.approx(0.5)


def test_an_open_ended_run_holds_the_learning_rate_until_it_cools_down():
    """It holds the full rate as long as it needs, if it is far from its bound."""
    schedule = make_schedule(most_epochs=1000)
    factors = []
    for _ in range(2000):
        factors.append(schedule.learning_rate_factor())
        schedule.advance()
    assert set(factors[4:]) == {1.0}
    assert not schedule.is_over
    assert schedule.fraction < 1


def test_an_open_ended_run_that_nears_its_bound_cools_down_within_it():
    """Even if it keeps improving, the learning rate is zero by the last epoch."""
    schedule = make_schedule(most_epochs=20)
    steps = 0
    while not schedule.is_over:
        schedule.advance()
        steps += 1
    assert steps <= 20 * schedule.steps_per_epoch
    assert schedule.learning_rate_factor() == 0


def test_an_open_ended_run_cools_down_linearly_over_a_quarter_of_its_steps():
    """The factor decreases from one to zero, and then the run is over."""
    schedule = make_schedule()
    for _ in range(40):
        schedule.advance()
    schedule.begin_cooldown()
    assert run_to_end(schedule) == pytest.approx([1 - step / 10 for step in range(10)])
    assert schedule.step == 50
    assert (schedule.fraction, schedule.learning_rate_factor()) == (1, 0)


def test_a_cooldown_begins_once():
    """Another evaluation without improvement does not postpone the end."""
    schedule = make_schedule()
    for _ in range(40):
        schedule.advance()
    schedule.begin_cooldown()
    schedule.advance()
    schedule.begin_cooldown()
    assert schedule.cooldown_steps == (40, 50)


def test_a_cooldown_before_the_first_steps_still_ends():
    """It is at least one step long."""
    schedule = make_schedule()
    schedule.begin_cooldown()
    assert len(run_to_end(schedule)) == 1


@pytest.mark.parametrize("settings", [{"steps": 50}, {"epochs": 2.5}, {}])
def test_the_fraction_never_decreases(settings):
    """It does not decrease either when an open-ended run begins to cool down."""
    schedule = make_schedule(**settings)
    fractions = []
    for _ in range(50):
        fractions.append(schedule.fraction)
        schedule.advance()
    if schedule.is_open_ended:
        schedule.begin_cooldown()
        while not schedule.is_over:
            fractions.append(schedule.fraction)
            schedule.advance()
    fractions.append(schedule.fraction)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


def test_minutes_can_be_those_of_the_processor(monkeypatch):
    """Other programs lengthen the wall clock, but not the time that the process computes."""
    wall, processor = [0.0], [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: wall[0])
    monkeypatch.setattr(time, "process_time", lambda: processor[0])
    schedules = {
        clock: TrainingSchedule(TrainingSettings(max_minutes=1, clock=clock), 10)
        for clock in ("wall", "processor")
    }
    for schedule in schedules.values():
        schedule.start_clock()
    wall[0] += 60
    processor[0] += 30
    for schedule in schedules.values():
        schedule.advance()
    assert schedules["wall"].is_over
    assert schedules["processor"].fraction == 0.5
