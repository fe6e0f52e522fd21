"""The KL controller: it brings a simulated model to its target, and resumes exactly."""

import json
import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.objective.techniques import Progress

TARGET = 6.0


class Plant:
    """A simulated model, whose KL slowly approaches `scale * weight ** -slope`, with noise."""

    def __init__(self, kl, scale=3.0, slope=0.7, noise=0.05, seed=0):
        self.kl = kl
        self.scale = scale
        self.slope = slope
        self.noise = noise
        self.random = torch.Generator().manual_seed(seed)

    def step(self, weight):
        """Return the KL of one batch, (batch, latent), under this weight."""
        limit = self.scale * max(weight, 1e-6) ** -self.slope
        self.kl += 0.03 * (limit - self.kl)
        noise = torch.randn(4, 2, generator=self.random) * self.noise
        return self.kl / 2 * (1 + noise)


def controller(**settings):
    return technique("target_kl", nats=TARGET, **settings)


def weight_of(part, progress):
    return part.shape_kl(torch.ones(1, 1), progress).item()


def drive(part, plant, steps, start=0, total=4000):
    """Run controller and simulated model together; return the weights."""
    weights: list[float] = []
    for number in range(start, start + steps):
        progress = Progress(number, number / total)
        weight = weights[-1] if weights else weight_of(part, progress)
        kl = plant.step(weight)
        part.observe_kl(kl, progress)
        weights.append(weight_of(part, progress))
    return weights


@pytest.mark.parametrize("start", [0.05, 2.0, 60.0])
@pytest.mark.parametrize("slope", [0.3, 0.7, 1.5])
def test_the_kl_reaches_its_target_from_above_and_from_below(start, slope):
    """It stays there, however strongly the KL depends on the weight."""
    part = controller()
    plant = Plant(start, slope=slope)
    drive(part, plant, 3000)
    late = []
    for number in range(3000, 4000, 10):
        drive(part, plant, 10, start=number)
        late.append(plant.kl)
    assert sum(late) / len(late) == pytest.approx(TARGET, rel=0.05)
    assert all(value == pytest.approx(TARGET, rel=0.2) for value in late)


def test_the_weight_settles_where_the_kl_is_at_its_target():
    """The simulated model is there at weight = (scale / target) ** (1 / slope)."""
    part = controller()
    plant = Plant(1.0, noise=0.0)
    weights = drive(part, plant, 4000)
    assert weights[-1] == pytest.approx((3.0 / TARGET) ** (1 / 0.7), rel=0.05)


def test_the_warm_up_changes_the_start_and_not_where_the_weight_settles():
    """The controller makes up for the rising factor before the warm-up ends."""
    weights = {}
    for warmup in (0.0, 0.2):
        part = controller(warmup=warmup)
        weights[warmup] = drive(part, Plant(1.0, noise=0.0), 1200)
    assert weights[0.2][1] < 0.01 < 0.9 < weights[0.0][1]
    assert weights[0.2][700] == pytest.approx(weights[0.0][700], rel=0.1)  # the factor is 0.875
    assert weights[0.2][-1] == pytest.approx(weights[0.0][-1], rel=0.05)


@pytest.mark.parametrize("kl", [0.0, 100.0])
def test_the_weight_never_leaves_its_bounds(kl):
    """The KL may stay away from its target for any time, on either side."""
    part = controller(least=0.1, most=2.0)
    for number in range(2000):
        part.observe_kl(torch.full((4, 2), kl), Progress(number, 1.0))
    expected = 0.1 if kl == 0 else 2.0
    assert weight_of(part, Progress(2000, 1.0)) == pytest.approx(expected)


def test_too_much_kl_raises_the_weight_and_too_little_lowers_it():
    """One batch changes the log of the weight by at most the gain."""
    before = weight_of(controller(), Progress(0, 1.0))
    for kl, sign in ((3 * TARGET, 1), (0.0, -1)):
        part = controller(gain=0.02)
        part.observe_kl(torch.full((4, 2), kl / 2), Progress(0, 1.0))
        change = sign * math.log(weight_of(part, Progress(1, 1.0)) / before)
        assert 0 < change <= 0.02 + 1e-5


def test_at_its_target_the_controller_does_not_move():
    """Without an error, the weight stays the same."""
    part = controller()
    before = part.state_dict()
    part.observe_kl(torch.full((4, 2), TARGET / 2), Progress(0, 1.0))
    assert part.state_dict() == before


def test_a_resumed_controller_continues_exactly():
    """Its state survives JSON, and every later weight is the same to the last bit."""
    whole = controller()
    plant = Plant(0.5)
    drive(whole, plant, 300)
    resumed = controller()
    twin = Plant(0.5)
    twin.kl = plant.kl
    twin.random.set_state(plant.random.get_state())
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert drive(resumed, twin, 300, start=300) == drive(whole, plant, 300, start=300)


def test_the_controller_reports_its_target():
    """The trainer and the doctor use it."""
    assert controller().kl_target == TARGET


def test_the_gradient_of_the_shaped_kl_is_the_weight():
    """No gradient flows through the controller."""
    kl = torch.ones(4, 2, requires_grad=True)
    part = controller()
    part.observe_kl(kl.detach(), Progress(0, 1.0))
    part.shape_kl(kl, Progress(0, 1.0)).sum().backward()
    torch.testing.assert_close(kl.grad, torch.full_like(kl, weight_of(part, Progress(0, 1.0))))
