"""The versions and the machine, as an issue report needs them."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from textvae.runtime.device import choose_device
from textvae.runtime.machine import describe_machine
from textvae.version import __version__

_PACKAGES = ("torch", "transformers", "datasets", "tokenizers", "numpy")


def describe_environment(device_name: str | None = None) -> dict[str, Any]:
    """Return the versions of the packages that matter, the platform, the processor and the device.

    Args:
        device_name: cpu or cuda; by default a GPU if one is available.

    Raises:
        ConfigError: the device is unknown or not available.
    """
    device = choose_device(device_name)
    return {
        "textvae": __version__,
        "python": platform.python_version(),
        # Read from its metadata, a version does not need the package to be imported.
        **{package: version(package) for package in _PACKAGES},
        "platform": platform.platform(),
        "processor": describe_machine(torch.device("cpu"))["machine"],
        "threads": torch.get_num_threads(),
        "device": _name_device(device),
        "bf16": describe_machine(device)["bf16"],
    }


def format_environment(record: Mapping[str, Any]) -> str:
    """Return the record as text, one line per entry."""
    values = {**record, "bf16": "in hardware" if record["bf16"] else "not in hardware"}
    return "\n".join(f"{name:14}{value}" for name, value in values.items())


def _name_device(device: torch.device) -> str:
    """Return "cpu", or the device with the name of the GPU."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"
