"""The machine and the versions a benchmark ran with."""

import platform
from typing import Any

import torch
import transformers

from textvae.runtime.device import is_bf16_fast
from textvae.runtime.machine import find_machine_name
from textvae.version import __version__


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return the machine, torch's threads, whether bf16 is used, and the versions, in one record."""
    return {
        "machine": find_machine_name(device),
        "threads": torch.get_num_threads(),
        "bf16": is_bf16_fast(device),
        "textvae": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
