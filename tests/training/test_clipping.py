"""Clipping gradients gives the same as torch."""

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from tests.tiny import draws
from textvae.training.optimizer import clip_gradients


def make_parameters():
    """Return two parameters with gradients and one without."""
    matrix = torch.nn.Parameter(draws(3, 4))
    vector = torch.nn.Parameter(draws(5))
    matrix.grad = draws(3, 4, seed=1)
    vector.grad = draws(5, seed=2)
    return [matrix, vector, torch.nn.Parameter(draws(2))]


@pytest.mark.parametrize("max_norm", [0.5, 1e3, float("inf")])
def test_gradients_and_norm_are_those_of_torch(max_norm):
    """The property holds for gradients that are clipped and for those that are not."""
    ours = make_parameters()
    theirs = make_parameters()
    torch.testing.assert_close(clip_gradients(ours, max_norm), clip_grad_norm_(theirs, max_norm))
    for our_parameter, their_parameter in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our_parameter.grad, their_parameter.grad)


def test_a_norm_that_is_not_a_number_spreads_to_all_gradients():
    """The trainer then notices the step, as it does with torch's own function."""
    ours = make_parameters()
    ours[0].grad[0, 0] = float("nan")
    assert clip_gradients(ours, 1.0).isnan()
    assert ours[1].grad.isnan().all()


def test_without_gradients_the_norm_is_zero():
    """Parameters without gradients do not raise an error."""
    assert float(clip_gradients([torch.nn.Parameter(draws(2))], 1.0)) == 0
