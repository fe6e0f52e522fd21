"""The processes of a distributed run, as torchrun and accelerate start them.

Gradients travel over the default process group, which gives up on a process that
is silent for `_PEER_TIMEOUT`. All other messages between processes travel over a
second group, on the CPU: it never makes a GPU wait, and it is patient enough for
the first process to prepare a large corpus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor
from torch.distributed.distributed_c10d import _get_default_store

from textvae.errors import ConfigError, StoppedError
from textvae.runtime.launch import check_launch, is_first_process

_PEER_TIMEOUT = timedelta(minutes=30)
_PREPARATION_TIMEOUT = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """One process of a run, and how it communicates with the others.

    Without a launcher there is only one process.

    Attributes:
        rank: this process's number, from 0.
        count: the number of processes.
        group: the group for messages between processes; None if there is only one process.
    """

    rank: int = 0
    count: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and prints messages."""
        return self.rank == 0

    def run_on_first(self, work: Callable[[], None]) -> None:
        """Run `work` on the first process while the others wait; an error stops them all.

        Raises:
            StoppedError: on the other processes, with the first process's message.
            Exception: on the first process, whatever `work` raised.
        """
        if self.count == 1:
            return work()
        failure = None
        if self.is_first:
            try:
                work()
            except Exception as error:
                failure = error
        # Broadcast before raising: otherwise the others would wait for a process that is gone.
        messages = [str(failure) if failure else None]
        dist.broadcast_object_list(messages, src=0, group=self.group)
        if failure:
            raise failure
        if messages[0] is not None:
            raise StoppedError(messages[0])
        return None

    def broadcast_from_first(self, value: float) -> float:
        """Return the first process's value on every process."""
        shared = torch.tensor(value, dtype=torch.float64)
        if self.count > 1:
            dist.broadcast(shared, src=0, group=self.group)
        return float(shared)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over processes, on the CPU and without gradient."""
        total = values.to("cpu", copy=True)
        if self.count > 1:
            dist.all_reduce(total, group=self.group)
        return total


SINGLE_PROCESS = Processes()


def join_processes(device: torch.device) -> tuple[Processes, torch.device]:
    """Connect to the other processes that the launcher started, if any.

    Args:
        device: the device that the user asked for.

    Returns:
        The processes, and the device that this process should use.

    Raises:
        ConfigError: there are more processes than GPUs, or the launcher's variables are wrong.
    """
    check_launch()
    state = PartialState(cpu=device.type == "cpu", timeout=_PEER_TIMEOUT)
    if state.num_processes == 1:
        return SINGLE_PROCESS, device
    check_gpu_count(state)
    group = dist.new_group(backend="gloo", timeout=_PREPARATION_TIMEOUT)
    return Processes(state.process_index, state.num_processes, group), state.device


def check_gpu_count(state: PartialState) -> None:
    """Check that every process on this machine has a GPU of its own, unless it runs on the CPU.

    Raises:
        ConfigError: there are more processes than GPUs.
    """
    gpus = torch.cuda.device_count()
    if state.device.type == "cuda" and state.local_process_index >= gpus:
        raise ConfigError(
            f"more processes than GPUs ({gpus}) on this machine: start {gpus}, or use --device cpu."
        )


def claim_error_report() -> bool:
    """Return whether this process should report an error: only the first one to ask does."""
    # Before the processes have connected, all of them meet the same error: one rank reports it.
    if not dist.is_initialized():
        return is_first_process()
    try:
        return bool(_get_default_store().add("textvae: errors reported", 1) == 1)
    except RuntimeError:  # the process that served the store has ended, and the store with it
        return True
