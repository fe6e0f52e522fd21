"""Clipped gradients equal the library's."""

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from tests.tiny import draws
from textvae.training.optimizer import clip_gradients


def parameters():
    """Return two parameters with gradients and one without."""
    given = [
        torch.nn.Parameter(draws(3, 4)),
        torch.nn.Parameter(draws(5)),
        torch.nn.Parameter(draws(2)),
    ]
    given[0].grad, given[1].grad = draws(3, 4, seed=1), draws(5, seed=2)
    return given


@pytest.mark.parametrize("most", [0.5, 1e3, float("inf")])
def test_gradients_and_norm_are_those_of_the_library(most):
    """Whether they are too long or not."""
    ours, theirs = parameters(), parameters()
    torch.testing.assert_close(clip_gradients(ours, most), clip_grad_norm_(theirs, most))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_a_norm_that_is_not_a_number_spreads_as_in_the_library():
    """So that the step is noticed."""
    ours = parameters()
    ours[0].grad[0, 0] = float("nan")
    assert clip_gradients(ours, 1.0).isnan()
    assert ours[1].grad.isnan().all()


def test_without_gradients_the_norm_is_zero():
    """And nothing is asked of the parameters."""
    assert float(clip_gradients([torch.nn.Parameter(draws(2))], 1.0)) == 0
