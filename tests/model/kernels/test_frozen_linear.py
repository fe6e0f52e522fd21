"""Layers that cast their frozen weights once."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from textvae.model.kernels.frozen_linear import cast_frozen_layers_once


def build(kind):
    """Return a layer with bias, frozen, and the same layer that casts its weights once."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 5) if kind == "linear" else Conv1D(5, 6)
    nn.init.normal_(layer.bias)
    layer.requires_grad_(False)
    other = nn.Linear(6, 5) if kind == "linear" else Conv1D(5, 6)
    other.load_state_dict(layer.state_dict())
    other.requires_grad_(False)
    cast_frozen_layers_once(other)
    return layer, other


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_outputs_and_gradients_are_those_of_autocast(kind):
    """Under autocast the layer returns bit for bit what the usual layer does."""
    layer, other = build(kind)
    x = torch.randn(4, 3, 6)
    results: list[Any] = []
    for module in (layer, other):
        inputs = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = module(inputs)
        y.float().square().sum().backward()
        results.append((y.detach(), inputs.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_without_autocast_the_weights_keep_their_precision(kind):
    """The layer computes in single precision where the usual layer does."""
    layer, other = build(kind)
    x = torch.randn(2, 6)
    assert torch.equal(layer(x), other(x))


def test_changed_weights_are_cast_again():
    """Weights that are loaded later are not mistaken for those that were cast before."""
    _, layer = build("linear")
    x = torch.randn(2, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = layer(x)
        layer.load_state_dict({"weight": torch.zeros(5, 6), "bias": torch.ones(5)})
        second = layer(x)
    assert not torch.equal(first, second)
    assert torch.equal(second, torch.ones(2, 5, dtype=torch.bfloat16))


def test_weights_that_are_trained_get_a_gradient():
    """A layer that is unfrozen again is an ordinary layer."""
    _, layer = build("linear")
    layer.requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(torch.randn(2, 6)).sum().backward()
    assert layer.weight.grad is not None
