"""Locks that keep two processes from writing to the same place, and name the one that holds it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from textvae.errors import OutputError
from textvae.runtime.files import _is_alive, _machine, _parents_of, _refuse_other_file

_LOCK_TIMEOUT_SECONDS = 0.3  # seconds that a lock may take which nobody holds


_WORKER_EXIT_SECONDS = 20.0  # seconds after which the workers of a killed process have ended, too


@contextmanager
def hold_lock(file: Path, busy: str, patience: float = _LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Keep every other process out of the block that holds the same lock file.

    The operating system frees the lock when its holder ends, however that comes
    about; a file that a killed process left is no obstacle. The file says who
    holds the lock, and is removed at the end.

    Args:
        busy: begins the message, `FOLDER: another process is writing there` for instance.
        patience: seconds to wait for another process.

    Raises:
        OutputError: another process holds it, the file is somebody's own, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_parents_of(file))
            _refuse_other_file(file)
            lock = _acquired(file, patience)
        except Timeout:
            raise OutputError(f"{busy}{_holder(file)}; let it finish, or end it.") from None
        except OSError as error:
            raise OutputError(
                f"{file.parent}: cannot be written: {error.strerror or error}"
            ) from error
        stack.callback(lock.release)
        # Where the disk knows no flock, filelock takes a SoftFileLock, whose file and text are its own affair.
        if not isinstance(lock, SoftFileLock):
            stack.callback(_unlink, file)  # before the release: nobody else may hold it yet
            _write_holder(file)
        yield


def _unlink(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _write_holder(file: Path) -> None:
    """Note in a lock file that this process holds it; on a full disk it holds without a name."""
    holder = {"process": os.getpid(), "host": socket.gethostname(), "at": _machine()}
    with suppress(OSError):
        file.write_text(json.dumps(holder))


def _acquired(file: Path, patience: float) -> BaseFileLock:
    """Return the lock, held.

    Raises:
        Timeout: a living process holds it.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        holder = _read_holder(file)
        if holder.get("at") != _machine() or _is_alive(int(holder["process"])):
            raise
        lock.acquire(
            timeout=_WORKER_EXIT_SECONDS
        )  # its data-loading workers have inherited the lock, and are about to end
    return lock


def _holder(file: Path) -> str:
    """Return words that name the process which holds a lock, if it has written its name."""
    holder = _read_holder(file)
    if not holder:
        return ""
    host = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
    return f" (process {holder['process']}{host})"


def _read_holder(file: Path) -> dict[str, Any]:
    try:
        holder = json.loads(file.read_text())
        return {
            "process": int(holder["process"]),
            "host": str(holder["host"]),
            "at": str(holder["at"]),
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}
