"""The unit floor: a dimension that tells enough is free, one that does not pays for what is missing."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from tests.tiny import draws, tiny_batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques import Progress

MIDDLE = Progress(step=50, fraction=0.5)


def posteriors(between, within):
    """Return means of exactly the variances `between` over the batch, and the variances `within`."""
    mean = draws(200, len(between))
    mean = (mean - mean.mean(0)) / mean.std(0, correction=0) * torch.tensor(between).sqrt()
    return mean.requires_grad_(), torch.tensor(within).log().expand(
        200, -1
    ).clone().requires_grad_()


def price(part, mean, logvar):
    """Return what these posteriors pay."""
    return part.penalty(TextVAEOutput(mean=mean, logvar=logvar), tiny_batch(), MIDDLE)


def test_what_is_missing_to_the_floor_is_paid_for_at_its_price():
    """Each dimension tells ln(1 + between / within) / 2 nats; only what lacks to the floor counts."""
    mean, logvar = posteriors([0.0, 0.1, 3.0], [1.0, 0.5, 0.5])
    told = [0.0, 0.5 * math.log(1.2), 0.5 * math.log(7.0)]
    expected = 2.0 * sum(max(0.0, 0.5 - nats) for nats in told)
    assert price(
        technique("unit_floor", floor=0.5, price=2.0), mean, logvar
    ).item() == pytest.approx(expected)


def test_only_dimensions_below_the_floor_are_pulled():
    """Their means apart, their noise down."""
    mean, logvar = posteriors([0.1, 3.0], [0.5, 0.5])
    price(technique("unit_floor", floor=0.5), mean, logvar).backward()
    away = (mean * mean.grad).detach()
    assert (
        away[:, 0] <= 0
    ).all()  # a step against the gradient moves a mean away from 0, their average
    assert (logvar.grad[:, 0] > 0).all()
    assert (mean.grad[:, 1] == 0).all()
    assert (logvar.grad[:, 1] == 0).all()


def test_noise_alone_never_fills_the_floor():
    """A dimension whose variance is wrong has a KL but tells nothing."""
    part = technique("unit_floor", floor=0.5, price=1.0)
    for within in (0.01, 1.0, 50.0):
        assert price(part, *posteriors([0.0], [within])).item() == pytest.approx(0.5)
