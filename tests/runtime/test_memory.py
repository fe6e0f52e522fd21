"""Errors that mean a lack of memory are told apart from all others."""

import numpy as np
import pytest
import torch

from textvae.runtime.memory import describe_lack_of_memory


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(2**50),
        lambda: torch.empty(2**62),
        lambda: np.empty(2**50),
        lambda: bytearray(2**60),
    ],
)
def test_a_lack_of_memory_is_described(allocate):
    """Each library has an error of its own."""
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        allocate()
    assert describe_lack_of_memory(caught.value)


def test_the_size_is_named():
    """It helps to choose a smaller number."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert describe_lack_of_memory(caught.value) == "4,000,000.0 GB could not be allocated"


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError(), RuntimeError()])
def test_other_errors_have_another_cause(error):
    """They are bugs, and must not be hidden."""
    assert describe_lack_of_memory(error) is None
