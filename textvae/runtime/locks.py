"""Locks that keep two processes from writing to the same place, and name the one that holds it."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from textvae.errors import OutputError
from textvae.runtime.files import is_process_alive, machine_id, make_parents

# Seconds to wait by default: a free lock can take a moment on a slow disk.
_LOCK_TIMEOUT = 0.3

# Seconds after which the data-loading workers of a killed process have ended, too.
_WORKER_EXIT_TIMEOUT = 20.0

_MAX_LOCK_BYTES = 1000
# The content of our own lock files, an empty file, and a SoftFileLock's.
_LOCK_CONTENT = re.compile(rb'\s*|\{"process": .*|\d+\s.*', re.DOTALL)


@contextmanager
def hold_lock(file: Path, busy: str, patience: float = _LOCK_TIMEOUT) -> Iterator[None]:
    """Hold a lock file, so that no other process is in a block that holds the same one.

    The operating system frees the lock when its holder ends, for whatever reason,
    so a file that a killed process left is no obstacle. The file says who holds the
    lock, and is removed at the end.

    Args:
        file: the lock file.
        busy: the beginning of the message if the lock is taken, for example
            `FOLDER: another process is writing there`.
        patience: seconds to wait for another process.

    Raises:
        OutputError: another process holds the lock, the file is one of the user's, or it
            cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(make_parents(file))
            _refuse_other_file(file)
            lock = _acquire(file, patience)
        except Timeout:
            raise OutputError(
                f"{busy}{_describe_holder(file)}; let it finish, or end it."
            ) from None
        except OSError as error:
            raise OutputError(
                f"{file.parent}: cannot be written: {error.strerror or error}"
            ) from error
        stack.callback(lock.release)
        # On a disk without flock, filelock falls back to a SoftFileLock. That one writes and
        # removes its file itself, and the file's existence is the lock.
        if not isinstance(lock, SoftFileLock):
            # The stack runs this before the release: after it, another process may hold the file.
            stack.callback(_unlink, file)
            _write_holder(file)
        yield


def is_held(file: Path) -> bool:
    """Return whether a lock file says that a process holds it; nothing is locked to find out.

    A process on another machine counts as running, because this machine cannot tell.
    """
    holder = _read_holder(file)
    if not holder:
        return False
    return holder["at"] != machine_id() or is_process_alive(int(holder["process"]))


def _refuse_other_file(file: Path) -> None:
    """Refuse to lock with a file of the user's, which would be overwritten and then removed.

    Raises:
        OutputError: the file has other content than a lock file.
    """
    try:
        status = file.lstat()
        is_small_file = S_ISREG(status.st_mode) and status.st_size <= _MAX_LOCK_BYTES
        is_lock = is_small_file and _LOCK_CONTENT.fullmatch(file.read_bytes()) is not None
    except FileNotFoundError:  # no lock yet, or its holder has just removed it
        return
    if not is_lock:
        raise OutputError(
            f"{file}: is needed as a lock file, but holds something else. "
            "Move it away, or name another folder."
        )


def _acquire(file: Path, patience: float) -> BaseFileLock:
    """Acquire the lock and return it.

    Raises:
        Timeout: a running process holds it.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        if not file.exists():
            file.touch()  # raises the reason why filelock could not create it
        holder = _read_holder(file)
        if holder.get("at") != machine_id() or is_process_alive(int(holder["process"])):
            raise
        # The holder was killed. Its data-loading workers have inherited the lock, and they
        # end soon after it.
        lock.acquire(timeout=_WORKER_EXIT_TIMEOUT)
    return lock


def _unlink(file: Path) -> None:
    """Remove a file, if possible."""
    with suppress(OSError):
        file.unlink()


def _write_holder(file: Path) -> None:
    """Write into a lock file that this process holds it.

    On a full disk this fails without an error: the lock works without the name.
    """
    holder = {"process": os.getpid(), "host": socket.gethostname(), "at": machine_id()}
    with suppress(OSError):
        file.write_text(json.dumps(holder))


def _describe_holder(file: Path) -> str:
    """Return which process holds a lock, in parentheses; empty if the file does not say."""
    holder = _read_holder(file)
    if not holder:
        return ""
    host = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
    return f" (process {holder['process']}{host})"


def _read_holder(file: Path) -> dict[str, Any]:
    """Return what `_write_holder` wrote; empty if the file has no such content."""
    try:
        holder = json.loads(file.read_text())
        return {
            "process": int(holder["process"]),
            "host": str(holder["host"]),
            "at": str(holder["at"]),
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}
