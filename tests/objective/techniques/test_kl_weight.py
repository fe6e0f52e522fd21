"""KL weight schedules: their values at landmarks of the run."""

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.objective.techniques import Progress
from textvae.objective.techniques.kl_weight import SCHEDULES
from textvae.settings.training import TrainingSettings
from textvae.training.schedule import TrainingSchedule


def weight(fraction, **settings):
    kl = torch.ones(2, 3)
    paid = technique("kl_weight", **settings).shape_kl(kl, Progress(0, fraction))
    assert paid.eq(paid[0, 0]).all()
    return paid[0, 0].item()


LANDMARKS = [
    ("constant", 0.0, 2.0),
    ("constant", 1.0, 2.0),
    ("linear", 0.0, 0.0),
    ("linear", 0.1, 0.5),
    ("linear", 0.2, 1.0),
    ("linear", 0.4, 2.0),
    ("linear", 1.0, 2.0),
    ("logistic", 0.2, 1.0),
    ("logistic", 1.0, 2.0),
    ("cyclical", 0.0, 0.0),
    ("cyclical", 0.05, 1.0),
    ("cyclical", 0.1, 2.0),
    ("cyclical", 0.2, 2.0),
    ("cyclical", 0.26, 0.2),
    ("cyclical", 0.99, 2.0),
]


@pytest.mark.parametrize(("schedule", "fraction", "expected"), LANDMARKS)
def test_a_schedule_passes_its_landmarks(schedule, fraction, expected):
    """Of a weight of 2 that rises over 0.4 of the run, or of each of four cycles."""
    found = weight(fraction, schedule=schedule, weight=2.0, warmup=0.4, cycles=4)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("schedule", ["linear", "logistic"])
def test_an_annealed_weight_never_falls_and_ends_at_its_height(schedule):
    """From (almost) nothing to the whole."""
    course = [weight(step / 50, schedule=schedule) for step in range(51)]
    assert course == sorted(course)
    assert course[0] < 1e-4
    assert course[-1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_stays_between_nothing_and_its_weight(schedule):
    """At every moment of the run."""
    assert all(0 <= weight(step / 97, schedule=schedule, weight=3.0) <= 3.0 for step in range(98))


@pytest.mark.parametrize("steps", [40, 400])
def test_a_cyclical_weight_is_that_of_fu_et_al(steps):
    """At step t of T, M = 4 cycles, R = 0.5: tau / R up to 1, tau = mod(t - 1, T / M) / (T / M).

    But for the one step with which a cycle begins: ours counts as the end of the cycle before.
    """
    for step in range(1, steps + 1):
        tau = (step - 1) % (steps // 4) / (steps // 4)
        theirs = min(1.0, tau / 0.5) if tau or step == 1 else 1.0
        assert weight((step - 1) / steps, schedule="cyclical", warmup=0.5) == pytest.approx(
            theirs, abs=1e-6
        )


def test_a_cyclical_weight_repeats_itself():
    """Each cycle is as the first."""
    for share in (0.1, 0.3, 0.6, 0.9):
        course = [weight((cycle + share) / 4, schedule="cyclical") for cycle in range(4)]
        assert course == pytest.approx([course[0]] * 4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_whole_kl_is_paid_for_at_the_end_of_the_run(schedule):
    """Fraction 1 is the end of the last cycle, not the start of another."""
    assert weight(1.0, schedule=schedule) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_whole_kl_is_paid_for_while_an_open_ended_run_holds(schedule):
    """The fraction at which it waits for the cool-down is not the start of a cycle."""
    plan = TrainingSchedule(TrainingSettings(), steps_per_epoch=10)
    assert plan.is_open_ended
    plan.step = 100_000
    assert weight(plan.fraction, schedule=schedule) == pytest.approx(1.0, abs=1e-3)
