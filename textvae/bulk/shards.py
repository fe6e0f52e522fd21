"""Shards: one Parquet file a unit, written beside, flushed and renamed, so that it is whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from textvae.errors import OutputError
from textvae.training.checkpoints import flush
from textvae.training.disk import is_full


def shard(folder: Path, number: int) -> Path:
    """Return where a unit's rows are kept."""
    return folder / f"part-{number:05d}.parquet"


def write_shard(folder: Path, number: int, table: pa.Table) -> None:
    """Write a unit's rows.

    Raises:
        OutputError: the disk is full, or the folder cannot be written; nothing half-written stays.
    """
    write_whole(shard(folder, number), lambda file: pq.write_table(table, file))


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside, and give it its name once it is on the disk."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")  # a process that was left behind writes to its own
    try:
        write(beside)
        flush(beside)
        beside.replace(file)
    except OSError as error:
        if is_full(file.parent, error):
            raise OutputError(
                f"{file.parent}: the disk is full. Make room, then give the same command again: "
                "it goes on from the shards that stand."
            ) from error
        raise OutputError(f"{file.parent}: cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for pattern in (".part-*", "._plan.json.*"):
        for file in folder.glob(pattern):
            file.unlink()
