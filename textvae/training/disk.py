"""The disk: a write that failed, explained, with what it left half-written swept away."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from textvae.errors import OutputError
from textvae.processes import Processes
from textvae.run import is_run
from textvae.training import checkpoints

LEAST_FREE = 2**16  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS_OF_A_FULL_DISK = ("No space left", "unexpected pos", "iostream error")  # the last two are torch.save's


@contextmanager
def full_disk_explained(folder: Path, processes: Processes, remedy: str | None = None) -> Iterator[None]:
    """Turn a write that failed into a message.

    Args:
        remedy: what to do once there is room; by default to go on with the run, if it has been begun.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # each library has its own way to say it
        was_full = is_full(folder, error)  # before sweeping makes room
        if processes.is_first and is_run(folder):  # none of the others writes a checkpoint
            checkpoints.sweep(folder)
        if was_full:
            if remedy is None:
                remedy = "go on with --resume" if folder.exists() else "start again"
            raise OutputError(f"{folder}: the disk is full. Make room, then {remedy}.") from error
        if isinstance(error, OSError):
            raise OutputError(f"{folder}: cannot be written: {error}") from error
        raise


def is_full(folder: Path, error: Exception) -> bool:
    """Whether a failed write is the disk's fault."""
    if getattr(error, "errno", None) in FULL or any(words in str(error) for words in WORDS_OF_A_FULL_DISK):
        return True
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(place).free < LEAST_FREE
