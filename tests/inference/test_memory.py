"""Counts that cannot fit into memory are refused before the work begins."""

import pytest
import torch

from textvae.errors import ConfigError
from textvae.inference.memory import check_count_fits

CPU = torch.device("cpu")


def test_a_count_that_fits_exactly_is_accepted():
    """Only what certainly does not fit is refused."""
    check_count_fits("n", 10, 100, CPU, available=1_000)


def test_a_count_that_does_not_fit_is_refused_with_one_that_does():
    """The message has the name, the value, what it needs, and what would fit."""
    with pytest.raises(ConfigError) as caught:
        check_count_fits("generate.n", 2_000_000, 1_000, CPU, available=500_000_000)
    assert str(caught.value) == (
        "generate.n = 2,000,000 needs at least 2.0 GB, and 500.0 MB are free on this machine. "
        "At most 500,000 would fit."
    )


def test_the_memory_of_this_machine_is_the_default():
    """No machine has as much as this."""
    with pytest.raises(ConfigError, match="would fit"):
        check_count_fits("samples", 10**15, 1_000)
