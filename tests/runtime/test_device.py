"""Devices: those on which a model can compute are chosen by name, all others are refused."""

import pytest
import torch

from textvae.errors import ConfigError
from textvae.runtime.device import choose_device


def test_the_cpu_can_be_named():
    """It is there on every machine."""
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["meta", "xla", "vulkan", "tpu", "gpu0"])
def test_a_device_on_which_no_model_can_compute_is_refused(name):
    """Torch knows some of them, but would fail in the first operation."""
    with pytest.raises(ConfigError, match=rf"device = '{name}'.*choose cpu or cuda"):
        choose_device(name)
