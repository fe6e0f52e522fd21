"""The processes of a run, as torchrun and accelerate start them: who does what, who knows what, who speaks.

Gradients travel over the default process group, which gives up on a process
that is silent for `_PEER_TIMEOUT`. What the processes tell each other beside that
travels over a group on the CPU: it never stops a GPU, and it waits as long as
the first process takes to prepare a large corpus.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor
from torch.distributed.distributed_c10d import _get_default_store

from textvae.errors import ConfigError, StoppedError

_PEER_TIMEOUT = timedelta(minutes=30)


_PREPARATION_TIMEOUT = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """One process among those of a run; without a launcher it is the only one.

    Attributes:
        rank, count: its number, from 0, and how many there are.
        group: what they talk over, if they are several.
    """

    rank: int = 0
    count: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def run_on_first(self, work: Callable[[], None]) -> None:
        """Do the work on the first process while the others wait; its error stops them all.

        Raises:
            StoppedError: the first process has failed; it says why.
        """
        if self.count == 1:
            return work()
        failure = None
        if self.is_first:
            try:
                work()
            except Exception as error:
                failure = error
        told = [str(failure) if failure else None]
        dist.broadcast_object_list(told, src=0, group=self.group)
        if failure:
            raise failure
        if told[0] is not None:
            raise StoppedError(told[0])
        return None

    def broadcast_from_first(self, value: float) -> float:
        """Return the first process's value."""
        told = torch.tensor(value, dtype=torch.float64)
        if self.count > 1:
            dist.broadcast(told, src=0, group=self.group)
        return float(told)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes, on the CPU; for measures, without gradient."""
        total = values.to("cpu", copy=True)
        if self.count > 1:
            dist.all_reduce(total, group=self.group)
        return total


SINGLE_PROCESS = Processes()


def join_processes(device: torch.device) -> tuple[Processes, torch.device]:
    """Meet the other processes of the launch, if there are any; return them and this process's own device.

    Raises:
        ConfigError: more processes than GPUs.
    """
    state = PartialState(cpu=device.type == "cpu", timeout=_PEER_TIMEOUT)
    if state.num_processes == 1:
        return SINGLE_PROCESS, device
    check_gpu_count(state)
    group = dist.new_group(backend="gloo", timeout=_PREPARATION_TIMEOUT)
    return Processes(state.process_index, state.num_processes, group), state.device


def check_gpu_count(state: PartialState) -> None:
    """Refuse to share a GPU among processes.

    Raises:
        ConfigError: there are more processes than GPUs.
    """
    gpus = torch.cuda.device_count()
    if state.device.type == "cuda" and state.local_process_index >= gpus:
        raise ConfigError(
            f"more processes than GPUs ({gpus}) on this machine: start {gpus}, or say --device cpu."
        )


def claim_error_report() -> bool:
    """Whether this process tells the user of an error: the first that asks does, so that it is said once."""
    if not dist.is_initialized():  # they have not met yet, and all see the same
        return os.environ.get("RANK", "0") == "0"
    try:
        return bool(_get_default_store().add("textvae: errors told", 1) == 1)
    except RuntimeError:  # the store has gone down with the process that kept it
        return True
