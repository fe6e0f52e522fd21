"""Engines: ways to distribute the units of a job over processes."""

from collections.abc import Callable

from textvae.bulk.engines.ranks import run_on_ranks
from textvae.bulk.engines.ray_data import run_on_ray_data
from textvae.bulk.worker import Job

# An engine takes a device, a function that makes the job, and whether to show a progress bar. It
# returns the number of units that it did, or None on every process but the first.
Engine = Callable[[str | None, Callable[[], Job], bool], int | None]

ENGINES: dict[str, Engine] = {"accelerate": run_on_ranks, "ray": run_on_ray_data}

__all__ = ["ENGINES", "Engine"]
