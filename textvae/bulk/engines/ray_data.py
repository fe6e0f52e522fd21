"""Ray Data: a pool of actors, each with the model loaded once, maps over a data set of units.

Started here if there is no cluster to join. On several machines the run, the
corpus and the output must be in folders that all of them see.
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

_OBJECT_STORE_BYTES = 2**27  # bytes; units are small and results stay in their shards


class _RayActor:
    """A worker for Ray: an error of ours comes back as words, as it is, not wrapped in Ray's."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Do one unit; return the kind and the words of what went wrong, if anything did."""
        try:
            self.worker = self.worker or Worker(self.job)  # here, for it may be refused
            self.worker(Unit(**row))
        except TextVAEError as error:
            return {"error": type(error).__name__, "words": str(error)}
        return {"error": "", "words": ""}


def run_on_ray_data(device: str | None, prepare: Callable[[], Job], progress: bool) -> int | None:
    """Do the work; return how many units were done.

    Raises:
        ConfigError: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError("engine = 'ray' wants Ray Data: pip install 'textvae[ray]'") from None
    job = prepare()
    job = replace(
        job, **{name: getattr(job, name).absolute() for name in ("run", "root", "output")}
    )
    with lock_shard_folder(job.output, job.plan) as units:
        if units:
            with _connect_cluster(ray):
                for result in tqdm(
                    _iterate_results(ray, job, units),
                    total=len(units),
                    unit="shard",
                    disable=not progress,
                ):
                    if result["error"]:
                        raise getattr(errors, result["error"])(result["words"])
    return len(units)


@contextmanager
def _connect_cluster(ray: Any) -> Iterator[None]:
    """Use the cluster that is joined already or can be found, else one of our own, and leave it again."""
    was_joined = ray.is_initialized()
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if not was_joined:
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
        if not was_joined:
            ray.shutdown()


def _iterate_results(ray: Any, job: Job, units: list[Unit]) -> Iterator[dict[str, str]]:
    """Return a stream of what the actors say of each unit: one actor a GPU, or a core."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    kind = "GPU" if choose_device(job.device).type == "cuda" else "CPU"
    actors = max(1, min(len(units), int(ray.cluster_resources().get(kind, 1))))
    rows = ray.data.from_items([asdict(unit) for unit in units])
    needs = {"num_gpus": 1} if kind == "GPU" else {"num_cpus": 1}
    pool = ray.data.ActorPoolStrategy(size=actors)
    mapped = rows.map(_RayActor, fn_constructor_args=(job,), compute=pool, **needs)
    stream: Iterator[dict[str, str]] = mapped.iter_rows()
    return stream
