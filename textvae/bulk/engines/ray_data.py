"""Ray Data: a pool of actors processes the units; each of them loads the model once.

If a Ray cluster is running, it is used; otherwise one is started on this machine.
On several machines, the run, the corpus and the output must be in folders that all
of them share.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from tqdm import tqdm

from textvae import errors
from textvae.bulk.plan import lock_shard_folder
from textvae.bulk.units import Unit
from textvae.bulk.worker import Job, Worker
from textvae.errors import ConfigError, TextVAEError
from textvae.runtime.device import choose_device
from textvae.terminal import is_bar_hidden

_OBJECT_STORE_BYTES = 2**27  # enough: units are small, and workers write the results themselves


def run_on_ray_data(device: str | None, prepare: Callable[[], Job], progress: bool) -> int | None:
    """Run a job and return how many units were done.

    Args:
        device: cpu or cuda; None for a GPU if there is one.
        prepare: makes the job.
        progress: whether to show a progress bar.

    Raises:
        ConfigError: Ray is not installed.
        TextVAEError: an actor failed; finished shards remain.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError("engine = 'ray' needs Ray Data: pip install 'textvae[ray]'") from None
    job = _with_absolute_paths(prepare())
    with lock_shard_folder(job.output, job.plan) as units:
        if units:
            with _connect_cluster(ray):
                results = _iterate_results(ray, job, units)
                for result in tqdm(
                    results, total=len(units), unit="shard", disable=is_bar_hidden(progress)
                ):
                    _raise_actor_error(result)
    return len(units)


def _with_absolute_paths(job: Job) -> Job:
    """Return the job with absolute paths, because actors have another working directory."""
    return replace(
        job, run=job.run.absolute(), root=job.root.absolute(), output=job.output.absolute()
    )


def _raise_actor_error(result: dict[str, str]) -> None:
    """Raise the error that an actor returned, with its type and message, if there is one."""
    if result["error"]:
        raise getattr(errors, result["error"])(result["message"])


@contextmanager
def _connect_cluster(ray: Any) -> Iterator[None]:
    """Connect to a running cluster, or start one, and disconnect at the end.

    If the caller has connected to a cluster before, that connection is used and left open.
    """
    was_connected = ray.is_initialized()
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if not was_connected:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **quiet,
            )
    try:
        yield
    finally:
        if not was_connected:
            ray.shutdown()


def _iterate_results(ray: Any, job: Job, units: list[Unit]) -> Iterator[dict[str, str]]:
    """Yield what the actors return for each unit; there is one actor per GPU, or per core."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    kind = "GPU" if choose_device(job.device).type == "cuda" else "CPU"
    actors = max(1, min(len(units), int(ray.cluster_resources().get(kind, 1))))
    rows = ray.data.from_items([asdict(unit) for unit in units])
    needs = {"num_gpus": 1} if kind == "GPU" else {"num_cpus": 1}
    pool = ray.data.ActorPoolStrategy(size=actors)
    mapped = rows.map(_RayActor, fn_constructor_args=(job,), compute=pool, **needs)
    results: Iterator[dict[str, str]] = mapped.iter_rows()
    return results


class _RayActor:
    """A worker in a process of Ray.

    A TextVAEError is returned as a row instead of being raised, because Ray would
    wrap it in an error of its own and print a traceback.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Process one unit; return the type and the message of its error, empty if it succeeded."""
        try:
            # The model is loaded here, not in the constructor, where Ray would wrap its errors.
            if self.worker is None:
                self.worker = Worker(self.job)
            self.worker(Unit(**row))
        except TextVAEError as error:
            return {"error": type(error).__name__, "message": str(error)}
        return {"error": "", "message": ""}
