"""Shards: one Parquet file a unit, written beside, flushed and renamed, so that it is whole or not there."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from textvae.errors import OutputError
from textvae.runtime.files import TEMPORARY, is_disk_full, write_atomically

_OURS = re.compile(r"part-\d{5,}\.parquet|_plan\.json")


_OF_EARLIER_RELEASES = re.compile(
    r"\.(part-\d{5,}\.parquet|_plan\.json)\.\d+"
)  # their temporary names


def shard_path(folder: Path, number: int) -> Path:
    """Return where a unit's rows are kept."""
    return folder / f"part-{number:05d}.parquet"


def write_shard(folder: Path, number: int, table: pa.Table) -> None:
    """Write a unit's rows.

    Raises:
        OutputError: the disk is full, or the folder cannot be written; nothing half-written stays.
    """
    write_whole(shard_path(folder, number), lambda file: pq.write_table(table, file))


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside, and give it its name once it is on the disk."""
    try:
        with write_atomically(file, sweeps=False) as partial:
            write(partial)
    except OSError as error:
        if is_disk_full(file.parent, error):
            raise OutputError(
                f"{file.parent}: the disk is full. Make room, then give the same command again: "
                "it goes on from the shards that stand."
            ) from error
        raise OutputError(f"{file.parent}: cannot be written: {error}") from error


def remove_partial_shards(folder: Path) -> None:
    """Remove what a killed run left half-written; another process may be writing a file of its own there."""
    for file in folder.iterdir():
        match = TEMPORARY.fullmatch(file.name)
        is_ours = match is not None and _OURS.fullmatch(match["stem"])
        if is_ours or _OF_EARLIER_RELEASES.fullmatch(file.name):
            file.unlink()
