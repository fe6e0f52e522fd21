"""Devices: those on which a model can compute are chosen by name, all others are refused."""

import pytest
import torch

from textvae.errors import ConfigError
from textvae.runtime import device
from textvae.runtime.device import choose_device, require_bf16


def test_the_cpu_can_be_named():
    """It is there on every machine."""
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["meta", "xla", "vulkan", "tpu", "gpu0"])
def test_a_device_on_which_no_model_can_compute_is_refused(name):
    """Torch knows some of them, but would fail in the first operation."""
    with pytest.raises(ConfigError, match=rf"device = '{name}'.*choose cpu or cuda"):
        choose_device(name)


@pytest.mark.parametrize("can_run", [True, False])
def test_an_lstm_is_trained_in_bf16_only_where_torch_can(can_run, monkeypatch):
    """Processors without AVX-512 train the other kinds in bf16, slowly, but no LSTM."""
    monkeypatch.setattr(device, "can_run_lstm_in_bf16", lambda: can_run)
    require_bf16(["gru", "gpt2"], torch.device("cpu"))
    require_bf16(["lstm", "lstm"], torch.device("cuda"))
    if can_run:
        require_bf16(["lstm", "gpt2"], torch.device("cpu"))
    else:
        with pytest.raises(ConfigError, match=r"training\.bf16 = true: torch computes no LSTM"):
            require_bf16(["gpt2", "lstm"], torch.device("cpu"))
