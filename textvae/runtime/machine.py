"""The name of the machine that computes."""

import platform
from pathlib import Path

import torch


def find_machine_name(device: torch.device) -> str:
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
