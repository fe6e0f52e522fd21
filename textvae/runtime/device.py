"""Devices, and the number type that matrix products run in."""

from functools import cache

import torch
from torch import Tensor, nn

from textvae.errors import ConfigError
from textvae.terminal import quote_value


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """Return autocast's number type if autocast is on, otherwise the tensor's own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def is_bf16_fast(device: torch.device) -> bool:
    """Whether the device multiplies bf16 numbers in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Other CPUs emulate bf16, which is slower than float32; torch has no public test for this.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def require_lstm_in_bf16(device: torch.device) -> None:
    """Check that a model with an LSTM can be trained in bf16 on a device, whether it is fast or not.

    Raises:
        ConfigError: torch cannot run an LSTM in bf16 on this processor.
    """
    if device.type == "cpu" and not can_run_lstm_in_bf16():
        raise ConfigError(
            "training.bf16 = true: torch cannot run an LSTM in bf16 on this processor. Leave it "
            "at auto, which uses bf16 where that is fast."
        )


@cache
def can_run_lstm_in_bf16() -> bool:
    """Whether torch can run an LSTM in bf16 on this processor; on some it raises an error."""
    lstm = nn.LSTM(1, 1)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
            lstm(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def compute_in_bf16(device: torch.device) -> torch.autocast:
    """Return a context in which matrix products are in bf16, if the device multiplies it fast."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_bf16_fast(device))


_DEVICES = ("cpu", "cuda", "mps")


def list_devices() -> list[str]:
    """Return the kinds of devices to choose from: mps only where torch has been built with it."""
    return list(_DEVICES if torch.backends.mps.is_built() else _DEVICES[:2])


def choose_device(name: str | torch.device | None) -> torch.device:
    """Return the named device; without a name, the GPU if there is one, otherwise the CPU.

    An mps GPU is used only if it is named.

    Raises:
        ConfigError: the name is unknown, or names a GPU and torch finds none.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = str(name) if isinstance(name, torch.device) else name
    choices = " or ".join(list_devices()).replace(" or ", ", ", len(list_devices()) - 2)
    if not isinstance(name, str):
        raise ConfigError(f"device = {quote_value(name)}: expected a name; choose {choices}.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"device = {name!r}: torch finds no GPU on this machine; "
            "leave the device out, or choose cpu."
        )
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device = {quote_value(name)} is unknown; choose {choices}.") from None
    # torch knows devices, such as meta, on which no model of ours can compute.
    if device.type not in _DEVICES:
        raise ConfigError(f"device = {quote_value(name)} is not supported; choose {choices}.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device = {name!r}: torch finds {torch.cuda.device_count()} GPUs on this machine, "
            "counted from cuda:0."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device = 'mps': torch finds no such GPU; choose cpu or cuda.")
    return device
