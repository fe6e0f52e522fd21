"""Dropout with a cheap mask has the same mean, probability and modes as the library's."""

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


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_elements_are_dropped_with_their_probability_and_the_mean_stays(p):
    """Both are within five standard errors over a hundred thousand elements."""
    torch.manual_seed(0)
    out = Dropout(p)(torch.ones(100_001))
    error = 5 * (p * (1 - p) / out.numel()) ** 0.5
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=error)
    assert float(out.mean()) == pytest.approx(1, abs=error / (1 - p))
    assert len(out.unique()) == 2


def test_neighbors_are_dropped_independently():
    """The four parts of one random number are not correlated."""
    torch.manual_seed(1)
    is_kept = (Dropout(0.5)(torch.ones(40_000, 8)) > 0).double()
    assert (torch.corrcoef(is_kept.T) - torch.eye(8)).abs().max() < 0.03


def test_the_gradient_passes_where_the_value_did():
    """It is scaled like the value."""
    torch.manual_seed(2)
    inputs = draws(3, 5, 7).requires_grad_()
    out = Dropout(0.4)(inputs)
    out.sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad * inputs, out)


def test_the_same_seed_drops_the_same():
    """Another call without the seed drops other elements."""
    layer = Dropout(0.5)
    inputs = draws(4, 9)
    torch.manual_seed(3)
    first = layer(inputs)
    second = layer(inputs)
    torch.manual_seed(3)
    assert torch.equal(layer(inputs), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0)])
def test_nothing_is_dropped_in_evaluation_or_with_probability_0(layer):
    """The tensor passes unchanged."""
    inputs = draws(4, 9)
    assert torch.equal(layer(inputs), inputs)


def test_every_dropout_inside_a_module_becomes_ours_with_its_probability():
    """Nested ones are replaced too; nothing else changes."""
    body = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Dropout(0.3)), torch.nn.Dropout(0.1)
    )
    layers = [
        layer for layer in replace_dropouts(body).modules() if isinstance(layer, torch.nn.Dropout)
    ]
    assert [(type(layer), layer.p) for layer in layers] == [(Dropout, 0.3), (Dropout, 0.1)]
    assert isinstance(body[0], torch.nn.Linear)


def test_all_positions_of_a_sentence_share_one_locked_mask():
    """Each sentence has another mask."""
    torch.manual_seed(4)
    out = LockedDropout(0.5)(torch.ones(6, 9, 32))
    assert (out == out[:, :1]).all()
    assert len(out[:, 0].unique(dim=0)) == 6


def test_a_word_is_dropped_at_all_its_positions():
    """Its whole embedding is dropped, in every sentence of the batch; other words are scaled."""
    torch.manual_seed(5)
    ids = torch.randint(0, 40, (7, 30))
    out = EmbeddingDropout(0.5, 40)(torch.ones(7, 30, 3), ids)
    for word in ids.unique():
        assert len(out[ids == word].unique()) == 1
    assert sorted(out.unique().tolist()) == pytest.approx([0, 2], abs=1e-3)


@pytest.mark.parametrize("cells", [torch.nn.LSTM, WideLSTM, torch.nn.GRU])
def test_recurrent_dropout_runs_the_layer_with_masked_weights(cells):
    """It equals a layer with those weights; all weights get a gradient and keep their values."""
    torch.manual_seed(6)
    layer = cells(5, 8, batch_first=True)
    inputs = draws(3, 4, 5)
    zeros = torch.zeros(1, 3, 8)
    start = (zeros, zeros) if isinstance(layer, torch.nn.LSTM) else zeros
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
def test_no_kind_of_dropout_drops_anything_in_evaluation(layer):
    """The input is returned unchanged, or the output of the recurrent layer."""
    inputs = draws(2, 3, 4)
    expected = inputs
    cells = torch.nn.GRU(4, 4, batch_first=True)
    layer.eval()
    if isinstance(layer, LockedDropout):
        out = layer(inputs)
    elif isinstance(layer, EmbeddingDropout):
        out = layer(inputs, torch.zeros(2, 3, dtype=torch.long))
    else:
        out, _ = layer(cells, inputs, None)
        expected, _ = cells(inputs)
    torch.testing.assert_close(out, expected)
