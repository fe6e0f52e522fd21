"""The peak of the memory that a benchmark needs, and what of it is there before the work begins."""

from pathlib import Path
from types import TracebackType
from typing import Self

import torch

_MEGABYTE = 10**6
_STATUS = Path("/proc/self/status")
# Writing this number to `clear_refs` lets the peak start again at the memory in use; proc(5).
_RESET_PEAK = "5"


class PeakMemory:
    """Measures the peak within a `with` block: of the process, or of torch on a GPU.

    Args:
        device: where the work is done.

    Attributes:
        before: bytes in use when the block began; None if the system does not tell.
        peak: the most bytes in use within the block, likewise.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before: int | None = None
        self.peak: int | None = None

    def __enter__(self) -> Self:
        """Start to measure."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        else:
            _reset_peak()
            self.before = _read_status("VmRSS")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop measuring."""
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device)
        else:
            # The system counts pages in batches, so its two numbers may differ a little.
            self.peak = max(_read_status("VmHWM") or 0, self.before or 0) or None

    def describe(self) -> dict[str, float | None]:
        """Return the peak, and what was in use before, in MB.

        On a CPU, what was in use before are mainly the libraries: without a model, a process that
        has imported torch and transformers has several hundred MB.
        """
        return {
            "peak_memory_mb": _in_megabytes(self.peak),
            "memory_before_mb": _in_megabytes(self.before),
        }


def _reset_peak() -> None:
    """Let the system's peak start again; without the right to do so, it is that of the process."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return


def _read_status(name: str) -> int | None:
    """Return an entry of the process's status in bytes; None on a system without that file."""
    if not _STATUS.is_file():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024  # the system counts in kB
    return None


def _in_megabytes(size: int | None) -> float | None:
    """Return a size in units of 10^6 bytes; None if it is unknown."""
    return None if size is None else size / _MEGABYTE
