"""Bulk jobs: encode, score or generate millions of sentences into Parquet shards.

The work is cut into units of a fixed size, and each unit becomes one Parquet
file, written completely or not at all. A unit whose shard exists is done, so a
job that was killed continues where it stopped when it is run again.

`run` is imported when it is first used, so the command line can read the defaults
without waiting for torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textvae.bulk.work import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """Import `run` when it is first used.

    Raises:
        AttributeError: the package has no such name.
    """
    if name != "run":
        raise AttributeError(f"module 'textvae.bulk' has no attribute {name!r}, only 'run'")
    from textvae.bulk.work import run

    return run
