"""Bulk work: encode, score or generate by the million, in shards, exactly once.

The work is cut into units of a fixed size; each leaves one Parquet file, which
is whole or not there. A unit whose shard stands is done, so a run that was
killed goes on where it stopped: give the same command again.
"""

from textvae.bulk.work import run

__all__ = ["run"]
