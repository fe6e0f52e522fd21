"""Shards: one Parquet file per unit, written completely or not at all."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from textvae.errors import OutputError
from textvae.runtime.files import TEMPORARY, is_disk_full, write_atomically

_SHARD_OR_PLAN = re.compile(r"part-\d{5,}\.parquet|_plan\.json")

# Temporary names that earlier releases used, which ended with the number of the process.
_EARLIER_TEMPORARY = re.compile(r"\.(part-\d{5,}\.parquet|_plan\.json)\.\d+")


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of a unit's shard."""
    return folder / f"part-{number:05d}.parquet"


def write_shard(folder: Path, number: int, table: pa.Table) -> None:
    """Write a unit's shard.

    Raises:
        OutputError: the disk is full, or the folder cannot be written; no partial file remains.
    """
    write_whole(shard_path(folder, number), lambda file: pq.write_table(table, file))


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file completely or not at all.

    `write` gets the path of a temporary file, which is then flushed to the disk and renamed.

    Raises:
        OutputError: the disk is full, or the folder cannot be written; no partial file remains.
    """
    try:
        # sweeps=False, because sweeping would list the folder once per shard.
        # `remove_partial_shards` removes what a killed job left, once per job.
        with write_atomically(file, sweeps=False) as partial:
            write(partial)
    except OSError as error:
        if is_disk_full(file.parent, error):
            raise OutputError(
                f"{file.parent}: the disk is full. Make room, then run the same command again: "
                "it continues after the finished shards."
            ) from error
        raise OutputError(f"{file.parent}: cannot be written: {error}") from error


def remove_partial_shards(folder: Path) -> None:
    """Remove the temporary files of shards that a killed job left.

    Only the temporary files of shards and plans are removed. The lock keeps out other
    bulk jobs, but another process may be writing a different file into the folder.
    """
    for file in folder.iterdir():
        match = TEMPORARY.fullmatch(file.name)
        is_partial_shard = match is not None and _SHARD_OR_PLAN.fullmatch(match["stem"])
        if is_partial_shard or _EARLIER_TEMPORARY.fullmatch(file.name):
            file.unlink()
