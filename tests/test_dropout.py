"""Dropout with a cheap mask has the mean, the chance and the switches of the library's."""

import pytest
import torch

from tests.tiny import draws
from textvae.dropout import Dropout, cheapened


@pytest.mark.parametrize("chance", [0.1, 0.2, 0.5, 0.9])
def test_elements_are_dropped_with_their_chance_and_the_mean_stays(chance):
    """Over a hundred thousand elements, within five standard errors."""
    torch.manual_seed(0)
    out = Dropout(chance)(torch.ones(100_001))
    error = 5 * (chance * (1 - chance) / out.numel()) ** 0.5
    assert float((out == 0).float().mean()) == pytest.approx(chance, abs=error)
    assert float(out.mean()) == pytest.approx(1, abs=error / (1 - chance))
    assert len(out.unique()) == 2


def test_neighbours_are_dropped_independently():
    """The parts of one random number tell nothing of one another."""
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(40_000, 8)) > 0).double()
    assert (torch.corrcoef(kept.T) - torch.eye(8)).abs().max() < 0.03


def test_the_gradient_passes_where_the_value_did():
    """Scaled alike."""
    torch.manual_seed(2)
    given = draws(3, 5, 7).requires_grad_()
    out = Dropout(0.4)(given)
    out.sum().backward()
    torch.testing.assert_close(given.grad * given, out)


def test_the_same_seed_drops_the_same():
    """And another call others."""
    layer, given = Dropout(0.5), draws(4, 9)
    torch.manual_seed(3)
    first, second = layer(given), layer(given)
    torch.manual_seed(3)
    assert torch.equal(layer(given), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0)])
def test_nothing_is_dropped_in_evaluation_or_without_a_chance(layer):
    """The tensor passes as it is."""
    given = draws(4, 9)
    assert torch.equal(layer(given), given)


def test_every_dropout_inside_a_module_becomes_ours_with_its_chance():
    """Also those of its parts; nothing else changes."""
    body = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Dropout(0.3)), torch.nn.Dropout(0.1))
    found = [layer for layer in cheapened(body).modules() if isinstance(layer, torch.nn.Dropout)]
    assert [(type(layer), layer.p) for layer in found] == [(Dropout, 0.3), (Dropout, 0.1)]
    assert isinstance(body[0], torch.nn.Linear)
