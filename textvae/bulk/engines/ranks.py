"""Ranks: the processes of `torchrun` or `accelerate launch`, or this process alone.

The first process makes the plan and broadcasts the units that are still to be
done. Each process then takes one contiguous slice of them, so that with many
files each process reads only a few.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from textvae.bulk.plan import lock_shard_folder
from textvae.bulk.units import Unit
from textvae.bulk.worker import Job, Worker
from textvae.runtime.device import choose_device
from textvae.runtime.launch import check_launch
from textvae.runtime.processes import check_gpu_count
from textvae.terminal import is_bar_hidden

# Ranks wait for the first one while it plans, and at the end for the slowest one. With the
# default timeout of torch.distributed, a few minutes, a long job would fail.
_RANK_TIMEOUT = timedelta(days=30)


def run_on_ranks(device: str | None, prepare: Callable[[], Job], progress: bool) -> int | None:
    """Run a job and return how many units were done; None on every process but the first.

    Args:
        device: cpu or cuda; None for a GPU if there is one.
        prepare: makes the job; only the first process calls it.
        progress: whether to show a progress bar.
    """
    check_launch()
    state = PartialState(cpu=choose_device(device).type == "cpu", timeout=_RANK_TIMEOUT)
    check_gpu_count(state)
    with _share_job(state, prepare) as (job, units):
        own_units = slice_for_rank(units, state.process_index, state.num_processes)
        if own_units:  # a rank without units need not load the model
            worker = Worker(job)
            is_quiet = is_bar_hidden(progress and state.is_main_process)
            for unit in tqdm(own_units, unit="shard", disable=is_quiet):
                worker(unit)
        # The first process holds the folder's lock, so it must be the last to leave.
        state.wait_for_everyone()
    return len(units) if state.is_main_process else None


@contextmanager
def _share_job(state: PartialState, prepare: Callable[[], Job]) -> Iterator[tuple[Job, list[Unit]]]:
    """Yield the first process's job and its units that are still to be done, on every process."""
    if not state.is_main_process:
        job, units = broadcast_object_list([None, None])
        yield job, units
        return
    job = prepare()
    with lock_shard_folder(job.output, job.plan) as units:
        broadcast_object_list([job, units])
        yield job, units


def slice_for_rank(units: list[Unit], rank: int, ranks: int) -> list[Unit]:
    """Return a rank's contiguous slice of the units; the slices differ by one unit at most."""
    start = len(units) * rank // ranks
    end = len(units) * (rank + 1) // ranks
    return units[start:end]
