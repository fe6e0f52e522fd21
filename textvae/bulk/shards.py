"""Shards: one Parquet file per unit, written completely or not at all."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from textvae.errors import OutputError
from textvae.runtime.files import TEMPORARY, is_disk_full, write_atomically

_OURS = re.compile(r"part-\d{5,}\.parquet|_plan\.json")

# The temporary names of earlier releases.
_OF_EARLIER_RELEASES = re.compile(r"\.(part-\d{5,}\.parquet|_plan\.json)\.\d+")


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
    """Let `write` fill a temporary file, then flush it and rename it to `file`.

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

    Only names of shards and plans are removed: the lock covers bulk jobs alone,
    and another process may be writing a file of its own into the folder.
    """
    for file in folder.iterdir():
        match = TEMPORARY.fullmatch(file.name)
        is_ours = match is not None and _OURS.fullmatch(match["stem"])
        if is_ours or _OF_EARLIER_RELEASES.fullmatch(file.name):
            file.unlink()
