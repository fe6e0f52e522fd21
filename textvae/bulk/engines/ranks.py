"""Ranks: the processes that `torchrun` or `accelerate launch` start, or this one alone.

The first process makes the plan and says what is still to be done; each then
takes a stretch of its own, so that with many files each process reads few.
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
from textvae.runtime.processes import check_gpu_count

_RANK_TIMEOUT = timedelta(
    days=30
)  # a rank waits while the first one plans, and at the end for the last


def run_on_ranks(device: str | None, prepare: Callable[[], Job], progress: bool) -> int | None:
    """Do the work; return how many units were done, None on processes beside the first.

    Args:
        prepare: makes the plan; called by the first process.
    """
    state = PartialState(cpu=choose_device(device).type == "cpu", timeout=_RANK_TIMEOUT)
    check_gpu_count(state)
    with _share_job(state, prepare) as (job, units):
        share = slice_for_rank(units, state.process_index, state.num_processes)
        if share:
            worker = Worker(job)
            for unit in tqdm(share, unit="shard", disable=not (progress and state.is_main_process)):
                worker(unit)
        state.wait_for_everyone()
    return len(units) if state.is_main_process else None


@contextmanager
def _share_job(state: PartialState, prepare: Callable[[], Job]) -> Iterator[tuple[Job, list[Unit]]]:
    """Yield the job and the units to be done, on every process what the first one found."""
    if not state.is_main_process:
        job, units = broadcast_object_list([None, None])
        yield job, units
        return
    job = prepare()
    with lock_shard_folder(job.output, job.plan) as units:
        broadcast_object_list([job, units])
        yield job, units


def slice_for_rank(units: list[Unit], rank: int, ranks: int) -> list[Unit]:
    """Return a rank's own part of the units, in one piece."""
    return units[len(units) * rank // ranks : len(units) * (rank + 1) // ranks]
