"""Refuse counts whose results cannot fit into memory, before the work begins."""

import torch

from textvae.errors import ConfigError
from textvae.model.bases.memory import format_bytes, read_available_memory

_CPU = torch.device("cpu")

# A need below this is accepted without reading how much memory is free.
_NEGLIGIBLE_BYTES = 10**8

# A decoded text: an object of Python, without its characters, and its place in a list.
_TEXT_BYTES = 57
_FLOAT_BYTES = 4


def check_texts_fit(setting: str, count: int, latent_dim: int, texts: int = 1) -> None:
    """Check that decoded texts and their latents fit into memory.

    Args:
        setting: the name of the count, for the message.
        count: how many are decoded for each input text.
        latent_dim: size of z.
        texts: number of input texts.

    Raises:
        ConfigError: they do not fit; the message says how many would.
    """
    check_count_fits(setting, count, texts * (_TEXT_BYTES + _FLOAT_BYTES * latent_dim))


def check_count_fits(
    setting: str,
    count: int,
    bytes_each: int,
    device: torch.device = _CPU,
    available: int | None = None,
) -> None:
    """Check that as many results as the user asks for fit into the memory of a device.

    Args:
        setting: the name of the count, for the message.
        bytes_each: the least memory that one result takes.
        available: bytes that are free; default: those of the device.

    Raises:
        ConfigError: they do not fit; the message says how many would.
    """
    needed = count * bytes_each
    if needed < _NEGLIGIBLE_BYTES and available is None:
        return
    if available is None:
        available = read_available_memory(device)
    if available is None or needed <= available:
        return
    place = "on the GPU" if device.type == "cuda" else "on this machine"
    raise ConfigError(
        f"{setting} = {count:,} needs at least {format_bytes(needed)}, and "
        f"{format_bytes(available)} are free {place}. "
        f"At most {available // bytes_each:,} would fit."
    )
