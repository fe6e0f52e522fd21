"""Engines: who does which unit. All share the plan, the worker and the shards."""

from collections.abc import Callable

from textvae.bulk.engines.ranks import run_on_ranks
from textvae.bulk.engines.ray_data import run_on_ray_data
from textvae.bulk.worker import Job

Engine = Callable[[str | None, Callable[[], Job], bool], int | None]


ENGINES: dict[str, Engine] = {"accelerate": run_on_ranks, "ray": run_on_ray_data}


__all__ = ["ENGINES", "Engine"]
