"""Several processes, as torchrun and accelerate start them."""

from collections.abc import Callable

import torch
from accelerate import PartialState
from accelerate.utils import broadcast


def on_first_process(device: torch.device, work: Callable[[], None]) -> None:
    """Do the work once, while the other processes of a distributed launch wait."""
    state = PartialState(cpu=device.type == "cpu")
    if state.is_main_process:
        work()
    state.wait_for_everyone()


def from_first_process(value: float, device: torch.device) -> float:
    """Return the first process's value, on all of them: its clock decides."""
    return float(broadcast(torch.tensor(value, dtype=torch.float64, device=device)))
