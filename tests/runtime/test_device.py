"""Devices: those on which a model can compute are chosen by name, all others are refused."""

import pytest
import torch

from textvae.errors import ConfigError
from textvae.runtime import device
from textvae.runtime.device import choose_device, require_lstm_in_bf16
from textvae.settings.run import Settings


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
    """Processors without AVX-512 cannot, and a GPU always can."""
    monkeypatch.setattr(device, "can_run_lstm_in_bf16", lambda: can_run)
    require_lstm_in_bf16(torch.device("cuda"))
    if can_run:
        require_lstm_in_bf16(torch.device("cpu"))
    else:
        with pytest.raises(ConfigError, match=r"training\.bf16 = true: torch cannot run an LSTM"):
            require_lstm_in_bf16(torch.device("cpu"))


@pytest.mark.parametrize(
    ("encoder", "decoder", "has_lstm"),
    [
        ({"kind": "gru"}, {"kind": "transformer"}, False),
        ({"kind": "lstm"}, {"kind": "gru"}, True),
        ({"kind": "gru"}, {"kind": "lstm"}, True),
        ({"kind": "pretrained", "name": "a/b", "lstm": 8}, {"kind": "gru"}, True),
        ({"kind": "pretrained", "name": "a/b"}, {"kind": "side_tuned", "name": "a/b"}, True),
    ],
)
def test_the_settings_say_whether_a_model_has_an_lstm(encoder, decoder, has_lstm):
    """Some pretrained parts have one at their side."""
    sections = {"model": {"encoder": encoder, "decoder": decoder, "conditioning": "auto"}}
    assert Settings.model_validate(sections).model.has_lstm() == has_lstm
