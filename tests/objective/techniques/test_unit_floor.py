"""Unit floor: a dimension pays for each nat by which its information is below the floor."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from tests.tiny import draws, tiny_batch, tiny_model
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


def test_what_the_label_says_does_not_fill_the_floor():
    """A dimension whose posterior is the label's prior pays as one that carries nothing."""
    model = tiny_model(labels={"calm": 2, "wild": 2}, latent=1)
    model.prior.mean.data = torch.tensor([[2.0], [-2.0]])
    label_ids = torch.tensor([0, 1]).repeat(10)
    prior = model.prior.conditional_on(label_ids)
    mean = model.prior.mean.detach()[label_ids].requires_grad_()
    output = TextVAEOutput(mean=mean, logvar=torch.zeros_like(mean), prior=prior)
    part = technique("unit_floor", floor=0.5, price=1.0)
    penalty = part.penalty(output, tiny_batch(), MIDDLE)
    assert penalty.item() == pytest.approx(0.5)
    penalty.backward()
    assert model.prior.mean.grad is None
