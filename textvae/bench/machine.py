"""What a figure was measured on."""

import platform
from pathlib import Path
from typing import Any

import torch
import transformers

from textvae.runtime.device import is_bf16_fast
from textvae.version import __version__


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return the machine, the number type of products and the versions, as one flat record."""
    return {
        "machine": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else _find_processor_name(),
        "threads": torch.get_num_threads(),
        "bf16": is_bf16_fast(device),
        "textvae": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def _find_processor_name() -> str:
    """Return the processor's name, as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
