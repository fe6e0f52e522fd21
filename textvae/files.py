"""Files and folders that appear whole or not at all, and locks that keep two writers apart.

What is written gets its name last: a file is filled under a temporary name next
to its place, flushed and renamed, so that a full disk or a kill never costs the
file that was there before. Temporary names say which process made them; what a
dead process left is removed the next time the same place is written. No other
name is ever removed, so a file of the user's own is safe whatever it is called.
"""

import errno
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import Any, Literal

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from textvae.errors import OutputError

Kind = Literal["new", "old", "gone"]  # being filled; moved aside for a new one; being removed
LONGEST_STEM = 180  # bytes of the real name inside a temporary one: file systems allow 255 in all
TEMPORARY = re.compile(
    r"\.(?P<stem>.+)\.(?P<kind>new|old|gone)\.textvae-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}", re.DOTALL
)
PATIENCE = 0.3  # seconds that a lock may take which nobody holds
LARGEST_LOCK = 1000  # bytes
OF_A_LOCK = re.compile(rb'\s*|\{"process": .*|\d+\s.*', re.DOTALL)  # ours, an empty one, or a SoftFileLock's
LAST_BREATH = 20.0  # seconds after which the workers of a killed process have ended, too


# Whole files


@contextmanager
def written_whole(file: Path, sweeps: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to; it takes the name `file` when the block ends without an error.

    A link is followed, and what is no regular file (a pipe, /dev/stdout) is written directly.

    Args:
        sweeps: look for what a killed process left of the same file; not for one of many thousand files.

    Raises:
        OSError: the file cannot be written; what was there before is unchanged.
    """
    if file.exists() and not file.is_file():
        yield file
        return
    target = Path(os.path.realpath(file))
    if sweeps:
        sweep(target)
    partial = _temporary(target, "new")
    try:
        if target.exists() and not os.access(target, os.W_OK):  # renaming would replace it all the same
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        yield partial
        if target.exists():
            shutil.copymode(target, partial)
        flush(partial)
        partial.replace(target)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(file)  # the name the user knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, in UTF-8."""
    with written_whole(file) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(file: Path, record: Any) -> None:
    """Write a JSON file whole."""
    write_text(file, json.dumps(record, indent=2) + "\n")


def flush(path: Path) -> None:
    """Wait until a file or a folder's entries are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Whole folders


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder next to `target` to fill; what has not been moved from there by the end is removed."""
    with _parents_of(target):
        folder = _temporary(target, "new")
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Give `new` the name of a folder that may exist; the old one is removed last, so that none is ever lost.

    Raises:
        OSError: it cannot be done; the old folder is in its place again.
    """
    for path in (*new.rglob("*"), new):
        if not path.is_symlink():
            flush(path)
    while not _take_place(new, target):
        pass  # another process has put its folder there in between; the last one wins


def _take_place(new: Path, target: Path) -> bool:
    """Move `target` aside and `new` to its place; return whether nobody came in between."""
    old = _temporary(target, "old")
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        new.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    finally:
        _restore_or_discard(old, target)
    return True


def remove(path: Path) -> None:
    """Remove a folder with its contents, a file, or a link but not what it points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# What killed processes left


def is_temporary(name: str) -> bool:
    """Whether a file or folder is one that this module fills, moves aside or removes."""
    return TEMPORARY.fullmatch(name) is not None


def sweep(target: Path, is_locked: bool = False) -> None:
    """Undo what killed processes left half-done at `target`: restore what they had moved aside, remove the rest.

    Args:
        is_locked: the caller keeps all others out, so that whatever is left belongs to no living process.
    """
    for old in left_over(target, "old", is_locked):
        _restore_or_discard(old, target)
    for path in [*left_over(target, "new", is_locked), *left_over(target, "gone", is_locked)]:
        with suppress(OSError):
            remove(path)


def left_over(target: Path, kind: Kind, is_locked: bool = False) -> list[Path]:
    """Return the temporary files and folders of a kind that no living process works on."""
    try:
        names = os.listdir(target.parent)
    except OSError:  # it is not there, or may not be listed
        return []
    return [target.parent / name for name in sorted(names) if _is_left_over(name, target, kind, is_locked)]


def _is_left_over(name: str, target: Path, kind: Kind, is_locked: bool) -> bool:
    match = TEMPORARY.fullmatch(name)
    if not match or match["stem"] != _stem(target) or match["kind"] != kind:
        return False
    return is_locked or (match["machine"] == _machine() and not _is_alive(int(match["process"])))


def _restore_or_discard(old: Path, target: Path) -> None:
    """Move a folder back to its place if that is free, or else remove it."""
    if not old.exists():
        return
    if not target.exists():
        old.rename(target)
        return
    gone = _temporary(target, "gone")  # half removed it has another name: it must never be restored
    with suppress(OSError):
        old.rename(gone)
        remove(gone)


def _temporary(target: Path, kind: Kind) -> Path:
    """Return a name next to `target` that nobody else uses, and that tells who does."""
    return target.with_name(f".{_stem(target)}.{kind}.textvae-{_machine()}-{os.getpid()}-{token_hex(4)}")


def _stem(target: Path) -> str:
    """Return the name that a temporary one begins with; of a long one its beginning, with a hash of all of it."""
    name = os.fsencode(target.name)
    if len(name) > LONGEST_STEM:
        name = name[: LONGEST_STEM - 16] + blake2b(name, digest_size=8).hexdigest().encode()
    return name.decode(errors="ignore")


@cache
def _machine() -> str:
    """Return a mark of this machine, within which process numbers are unique: containers have their own."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return blake2b(f"{socket.gethostname()} {space}".encode(), digest_size=4).hexdigest()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True


@contextmanager
def _parents_of(path: Path) -> Iterator[None]:
    """Make the folders that lead to a path; those that turn out to stay empty are removed again."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # something is in it now
                folder.rmdir()


# Locks


@contextmanager
def locked(file: Path, busy: str, patience: float = PATIENCE) -> Iterator[None]:
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
            raise OutputError(f"{file.parent}: cannot be written: {error.strerror or error}") from error
        stack.callback(lock.release)
        # Where the disk knows no flock, filelock takes a SoftFileLock, whose file and text are its own affair.
        if not isinstance(lock, SoftFileLock):
            stack.callback(_unlink, file)  # before the release: nobody else may hold it yet
            _write_holder(file)
        yield


def _refuse_other_file(file: Path) -> None:
    """Refuse to lock with a file that somebody has written, for it would be overwritten and then removed.

    Raises:
        OutputError: it holds something else than a lock does.
    """
    try:
        found = file.lstat()
        is_small_file = S_ISREG(found.st_mode) and found.st_size <= LARGEST_LOCK
        is_ours = is_small_file and OF_A_LOCK.fullmatch(file.read_bytes()) is not None
    except FileNotFoundError:  # its holder may be removing it
        return
    if not is_ours:
        raise OutputError(
            f"{file}: is needed as a lock, and holds something else. Move it away, or name another folder."
        )


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
        lock.acquire(timeout=LAST_BREATH)  # its data-loading workers have inherited the lock, and are about to end
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
        return {"process": int(holder["process"]), "host": str(holder["host"]), "at": str(holder["at"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
