"""The number type that products run in."""

import torch
from torch import Tensor

from textvae.errors import ConfigError


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """Return autocast's type where it is on, else the tensor's own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def is_bf16_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def choose_device(name: str | None) -> torch.device:
    """Return the device of that name; without one, a GPU if there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"device = {name!r}: there is no GPU here that torch can use; leave it out, or say cpu."
        )
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device = {name!r} is unknown; choose cpu or cuda.") from None
