"""KL weight schedules: their values at certain points of the run."""

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.objective.techniques import Progress
from textvae.objective.techniques.kl_weight import SCHEDULES
from textvae.settings.training import TrainingSettings
from textvae.training.schedule import TrainingSchedule


def weight(fraction, **settings):
    """Return the weight at a point of the run."""
    kl = torch.ones(2, 3)
    shaped = technique("kl_weight", **settings).shape_kl(kl, Progress(0, fraction))
    assert shaped.eq(shaped[0, 0]).all()
    return shaped[0, 0].item()


EXPECTED_WEIGHTS = [
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


@pytest.mark.parametrize(("schedule", "fraction", "expected"), EXPECTED_WEIGHTS)
def test_a_schedule_has_the_expected_weights(schedule, fraction, expected):
    """The weight of 2 rises over 0.4 of the run, or of each of four cycles."""
    found = weight(fraction, schedule=schedule, weight=2.0, warmup=0.4, cycles=4)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("schedule", ["linear", "logistic"])
def test_an_annealed_weight_never_falls_and_ends_at_one(schedule):
    """It starts at 0, or almost 0."""
    course = [weight(step / 50, schedule=schedule) for step in range(51)]
    assert course == sorted(course)
    assert course[0] < 1e-4
    assert course[-1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_stays_between_zero_and_its_weight(schedule):
    """Many points of the run are checked."""
    assert all(0 <= weight(step / 97, schedule=schedule, weight=3.0) <= 3.0 for step in range(98))


@pytest.mark.parametrize("steps", [40, 400])
def test_a_cyclical_weight_is_that_of_fu_et_al(steps):
    """At step t of T, it is min(1, tau / R), tau = mod(t - 1, T / M) / (T / M); M = 4, R = 0.5.

    Only the first step of a cycle differs: here it counts as the end of the cycle before.
    """
    for step in range(1, steps + 1):
        tau = (step - 1) % (steps // 4) / (steps // 4)
        is_end_of_cycle = tau == 0 and step > 1
        expected = 1.0 if is_end_of_cycle else min(1.0, tau / 0.5)
        ours = weight((step - 1) / steps, schedule="cyclical", warmup=0.5)
        assert ours == pytest.approx(expected, abs=1e-6)


def test_a_cyclical_weight_repeats_itself():
    """Every cycle equals the first."""
    for share in (0.1, 0.3, 0.6, 0.9):
        course = [weight((cycle + share) / 4, schedule="cyclical") for cycle in range(4)]
        assert course == pytest.approx([course[0]] * 4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_whole_kl_counts_at_the_end_of_the_run(schedule):
    """Fraction 1 is the end of the last cycle, not the start of a new one."""
    assert weight(1.0, schedule=schedule) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_whole_kl_counts_before_an_open_ended_run_cools_down(schedule):
    """The fraction at which such a run waits is not the start of a cycle."""
    training = TrainingSchedule(TrainingSettings(), steps_per_epoch=10)
    assert training.is_open_ended
    training.step = 100_000
    assert weight(training.fraction, schedule=schedule) == pytest.approx(1.0, abs=1e-3)
