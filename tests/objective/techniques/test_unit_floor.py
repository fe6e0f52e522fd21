"""Unit floor: a dimension pays for each nat by which its information is below the floor."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from tests.tiny import draws, tiny_batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques import Progress

MIDDLE = Progress(step=50, fraction=0.5)


def posteriors(between, within):
    """Return means whose variances over the batch are exactly `between`, and log-variances."""
    mean = draws(200, len(between))
    mean = (mean - mean.mean(0)) / mean.std(0, correction=0) * torch.tensor(between).sqrt()
    logvar = torch.tensor(within).log().expand(200, -1).clone()
    return mean.requires_grad_(), logvar.requires_grad_()


def price(part, mean, logvar):
    """Return the penalty of these posteriors."""
    return part.penalty(TextVAEOutput(mean=mean, logvar=logvar), tiny_batch(), MIDDLE)


def test_each_nat_below_the_floor_costs_the_price():
    """A dimension carries ln(1 + between / within) / 2 nats."""
    mean, logvar = posteriors([0.0, 0.1, 3.0], [1.0, 0.5, 0.5])
    information = [0.0, 0.5 * math.log(1.2), 0.5 * math.log(7.0)]
    expected = 2.0 * sum(max(0.0, 0.5 - nats) for nats in information)
    part = technique("unit_floor", floor=0.5, price=2.0)
    assert price(part, mean, logvar).item() == pytest.approx(expected)


def test_only_dimensions_below_the_floor_are_pulled():
    """Their means are pulled apart, and their variances down."""
    mean, logvar = posteriors([0.1, 3.0], [0.5, 0.5])
    price(technique("unit_floor", floor=0.5), mean, logvar).backward()
    # A step against the gradient moves each mean away from 0, the average of the means.
    assert ((mean * mean.grad)[:, 0] <= 0).all()
    assert (logvar.grad[:, 0] > 0).all()
    assert (mean.grad[:, 1] == 0).all()
    assert (logvar.grad[:, 1] == 0).all()


def test_noise_alone_never_fills_the_floor():
    """A dimension whose variance differs from the prior's has a KL, but no information."""
    part = technique("unit_floor", floor=0.5, price=1.0)
    for within in (0.01, 1.0, 50.0):
        assert price(part, *posteriors([0.0], [within])).item() == pytest.approx(0.5)
