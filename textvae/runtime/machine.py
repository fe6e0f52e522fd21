"""The machine and the versions that something was trained or measured with."""

import platform
from pathlib import Path
from typing import Any

import torch
import transformers

from textvae.runtime.device import is_bf16_fast
from textvae.version import __version__


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return the machine, torch's threads, whether it multiplies bf16 fast, and the versions."""
    return {
        "machine": _find_machine_name(device),
        "threads": torch.get_num_threads(),
        "bf16": is_bf16_fast(device),
        "textvae": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def _find_machine_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor.

    If the system does not report the processor's name, return the architecture, such
    as x86_64.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    processor_file = Path("/proc/cpuinfo")
    if processor_file.is_file():
        for line in processor_file.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
