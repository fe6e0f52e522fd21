"""Several processes, as torchrun and accelerate start them."""

from collections.abc import Callable

import torch
from accelerate import PartialState


def on_first_process(device: torch.device, work: Callable[[], None]) -> None:
    """Do the work once, while the other processes of a distributed launch wait."""
    state = PartialState(cpu=device.type == "cpu")
    if state.is_main_process:
        work()
    state.wait_for_everyone()
