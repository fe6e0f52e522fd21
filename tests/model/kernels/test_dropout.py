"""Dropout with a cheap mask has the mean, the chance and the switches of the library's."""

from copy import deepcopy

import pytest
import torch

from tests.tiny import draws
from textvae.model.kernels.dropout import (
    Dropout,
    EmbeddingDropout,
    LockedDropout,
    RecurrentDropout,
    replace_dropouts,
)
from textvae.model.kernels.wide_lstm import WideLSTM


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
    body = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Dropout(0.3)), torch.nn.Dropout(0.1)
    )
    found = [
        layer for layer in replace_dropouts(body).modules() if isinstance(layer, torch.nn.Dropout)
    ]
    assert [(type(layer), layer.p) for layer in found] == [(Dropout, 0.3), (Dropout, 0.1)]
    assert isinstance(body[0], torch.nn.Linear)


def test_a_locked_mask_is_one_for_all_places_of_a_sentence():
    """And another for each sentence."""
    torch.manual_seed(4)
    out = LockedDropout(0.5)(torch.ones(6, 9, 32))
    assert (out == out[:, :1]).all()
    assert len(out[:, 0].unique(dim=0)) == 6


def test_a_word_is_dropped_in_all_its_places():
    """Whole, in every sentence of the batch; the others are scaled."""
    torch.manual_seed(5)
    ids = torch.randint(0, 40, (7, 30))
    out = EmbeddingDropout(0.5, 40)(torch.ones(7, 30, 3), ids)
    for word in ids.unique():
        assert len(out[ids == word].unique()) == 1
    assert sorted(out.unique().tolist()) == pytest.approx([0, 2], abs=1e-3)


@pytest.mark.parametrize("cells", [torch.nn.LSTM, WideLSTM, torch.nn.GRU])
def test_recurrent_dropout_runs_the_layer_with_masked_weights(cells):
    """As a copy of the layer with those weights would; all weights have a gradient, and keep their values."""
    torch.manual_seed(6)
    layer, inputs = cells(5, 8, batch_first=True), draws(3, 4, 5)
    start = (
        (torch.zeros(1, 3, 8),) * 2 if isinstance(layer, torch.nn.LSTM) else torch.zeros(1, 3, 8)
    )
    before = layer.weight_hh_l0.detach().clone()
    torch.manual_seed(7)
    states, _ = RecurrentDropout(0.5)(layer, inputs, start)
    states.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    torch.testing.assert_close(layer.weight_hh_l0, before)
    torch.manual_seed(7)
    copied = deepcopy(layer)
    with torch.no_grad():
        copied.weight_hh_l0.copy_(Dropout(0.5)(before))
    torch.testing.assert_close(copied(inputs, start)[0], states)
    assert ((layer.weight_hh_l0.grad == 0) == (copied.weight_hh_l0 == 0)).all()


@pytest.mark.parametrize(
    "layer", [LockedDropout(0.5), EmbeddingDropout(0.5, 40), RecurrentDropout(0.5)]
)
def test_none_drops_anything_when_nothing_is_trained(layer):
    """The input itself is returned, or the layer's own output."""
    inputs, cells = draws(2, 3, 4), torch.nn.GRU(4, 4, batch_first=True)
    given = {
        "LockedDropout": (inputs,),
        "EmbeddingDropout": (inputs, torch.zeros(2, 3, dtype=torch.long)),
    }
    out = layer.eval()(*given.get(type(layer).__name__, (cells, inputs, None)))
    expected = cells(inputs)[0] if isinstance(layer, RecurrentDropout) else inputs
    torch.testing.assert_close(out[0] if isinstance(out, tuple) else out, expected)
