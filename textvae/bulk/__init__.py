"""Bulk jobs: encode, score or generate millions of sentences into Parquet shards.

The work is cut into units of a fixed size, and each unit becomes one Parquet
file, written completely or not at all. A unit whose shard exists is done, so a
job that was killed continues where it stopped when it is run again.
"""

from textvae.bulk.work import run

__all__ = ["run"]
