"""The KL controller: it drives a simulated model to its target and is resumed exactly."""

import json
import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.objective.techniques import Progress

TARGET = 6.0


class Plant:
    """A model in miniature: its KL goes slowly to `scale * weight ** -slope`, with noise."""

    def __init__(self, kl, scale=3.0, slope=0.7, noise=0.05, seed=0):
        self.kl, self.scale, self.slope, self.noise = kl, scale, slope, noise
        self.random = torch.Generator().manual_seed(seed)

    def step(self, weight):
        """Return the KL of one batch, (batch, latent), under this weight."""
        rest = self.scale * max(weight, 1e-6) ** -self.slope
        self.kl += 0.03 * (rest - self.kl)
        noise = torch.randn(4, 2, generator=self.random) * self.noise
        return self.kl / 2 * (1 + noise)


def controller(**settings):
    return technique("target_kl", nats=TARGET, **settings)


def weight_of(part, progress):
    return part.shape_kl(torch.ones(1, 1), progress).item()


def drive(part, plant, steps, start=0, total=4000):
    """Run controller and plant together; return the weights."""
    weights = []
    for number in range(start, start + steps):
        progress = Progress(number, number / total)
        kl = plant.step(weights[-1] if weights else weight_of(part, progress))
        part.observe_kl(kl, progress)
        weights.append(weight_of(part, progress))
    return weights


@pytest.mark.parametrize("start", [0.05, 2.0, 60.0])
@pytest.mark.parametrize("slope", [0.3, 0.7, 1.5])
def test_the_kl_comes_to_its_target_from_above_and_from_below(start, slope):
    """And stays there, whatever the slope with which KL answers the weight."""
    part, plant = controller(), Plant(start, slope=slope)
    drive(part, plant, 3000)
    late = []
    for number in range(3000, 4000, 10):
        drive(part, plant, 10, start=number)
        late.append(plant.kl)
    assert sum(late) / len(late) == pytest.approx(TARGET, rel=0.05)
    assert all(value == pytest.approx(TARGET, rel=0.2) for value in late)


def test_the_weight_at_rest_is_the_price_of_the_target():
    """Where the plant's own curve gives the target: weight = (scale / target) ** (1 / slope)."""
    part, plant = controller(), Plant(1.0, noise=0.0)
    weights = drive(part, plant, 4000)
    assert weights[-1] == pytest.approx((3.0 / TARGET) ** (1 / 0.7), rel=0.05)


@pytest.mark.parametrize("kl", [0.0, 100.0])
def test_the_weight_never_leaves_its_bounds(kl):
    """However long the KL stays off its target, on either side."""
    part = controller(least=0.1, most=2.0)
    for number in range(2000):
        part.observe_kl(torch.full((4, 2), kl), Progress(number, 1.0))
    expected = 0.1 if kl == 0 else 2.0
    assert weight_of(part, Progress(2000, 1.0)) == pytest.approx(expected)


def test_too_much_kl_raises_the_weight_and_too_little_lowers_it():
    """One batch moves it, by the gain at most."""
    before = weight_of(controller(), Progress(0, 1.0))
    for kl, sign in ((3 * TARGET, 1), (0.0, -1)):
        part = controller(gain=0.02)
        part.observe_kl(torch.full((4, 2), kl / 2), Progress(0, 1.0))
        moved = sign * math.log(weight_of(part, Progress(1, 1.0)) / before)
        assert 0 < moved <= 0.02 + 1e-5


def test_at_its_target_the_controller_rests():
    """No error, no move."""
    part = controller()
    before = part.state_dict()
    part.observe_kl(torch.full((4, 2), TARGET / 2), Progress(0, 1.0))
    assert part.state_dict() == before


def test_a_resumed_controller_goes_on_identically():
    """Through JSON, step by step, to the last bit."""
    whole, plant = controller(), Plant(0.5)
    drive(whole, plant, 300)
    resumed, twin = controller(), Plant(0.5)
    twin.kl = plant.kl
    twin.random.set_state(plant.random.get_state())
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert drive(resumed, twin, 300, start=300) == drive(whole, plant, 300, start=300)


def test_the_target_is_told_to_who_asks():
    """The trainer and the doctor judge by it."""
    assert controller().kl_target == TARGET


def test_the_gradient_of_the_paid_kl_is_the_weight():
    """The controller's own arithmetic takes no part in it."""
    kl = torch.ones(4, 2, requires_grad=True)
    part = controller()
    part.observe_kl(kl.detach(), Progress(0, 1.0))
    part.shape_kl(kl, Progress(0, 1.0)).sum().backward()
    torch.testing.assert_close(kl.grad, torch.full_like(kl, weight_of(part, Progress(0, 1.0))))
