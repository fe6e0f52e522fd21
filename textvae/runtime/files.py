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
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import Any, Literal

from textvae.errors import OutputError

_Kind = Literal["new", "old", "gone"]  # being filled; moved aside for a new one; being removed


_LONGEST_STEM = 180  # bytes of the real name inside a temporary one: file systems allow 255 in all


TEMPORARY = re.compile(
    r"\.(?P<stem>.+)\.(?P<kind>new|old|gone)\.textvae-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}",
    re.DOTALL,
)


_LARGEST_LOCK = 1000  # bytes


_OF_A_LOCK = re.compile(
    rb'\s*|\{"process": .*|\d+\s.*', re.DOTALL
)  # ours, an empty one, or a SoftFileLock's


@contextmanager
def write_atomically(file: Path, sweeps: bool = True) -> Iterator[Path]:
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
        clean_up_after_kill(target)
    partial = _temporary(target, "new")
    try:
        if target.exists() and not os.access(
            target, os.W_OK
        ):  # renaming would replace it all the same
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        yield partial
        if target.exists():
            shutil.copymode(target, partial)
        flush_to_disk(partial)
        partial.replace(target)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(file)  # the name the user knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, in UTF-8."""
    with write_atomically(file) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(file: Path, record: Any) -> None:
    """Write a JSON file whole."""
    write_text(file, json.dumps(record, indent=2) + "\n")


def flush_to_disk(path: Path) -> None:
    """Wait until a file or a folder's entries are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
            flush_to_disk(path)
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


def is_temporary(name: str) -> bool:
    """Whether a file or folder is one that this module fills, moves aside or removes."""
    return TEMPORARY.fullmatch(name) is not None


def clean_up_after_kill(target: Path, is_locked: bool = False) -> None:
    """Undo what killed processes left half-done at `target`: restore what they had moved aside, remove the rest.

    Args:
        is_locked: the caller keeps all others out, so that whatever is left belongs to no living process.
    """
    for old in find_left_over(target, "old", is_locked):
        _restore_or_discard(old, target)
    for path in [
        *find_left_over(target, "new", is_locked),
        *find_left_over(target, "gone", is_locked),
    ]:
        with suppress(OSError):
            remove(path)


def find_left_over(target: Path, kind: _Kind, is_locked: bool = False) -> list[Path]:
    """Return the temporary files and folders of a kind that no living process works on."""
    try:
        names = os.listdir(target.parent)
    except OSError:  # it is not there, or may not be listed
        return []
    return [
        target.parent / name
        for name in sorted(names)
        if _is_left_over(name, target, kind, is_locked)
    ]


def _is_left_over(name: str, target: Path, kind: _Kind, is_locked: bool) -> bool:
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


def _temporary(target: Path, kind: _Kind) -> Path:
    """Return a name next to `target` that nobody else uses, and that tells who does."""
    return target.with_name(
        f".{_stem(target)}.{kind}.textvae-{_machine()}-{os.getpid()}-{token_hex(4)}"
    )


def _stem(target: Path) -> str:
    """Return the name that a temporary one begins with; of a long one its beginning, with a hash of all of it."""
    name = os.fsencode(target.name)
    if len(name) > _LONGEST_STEM:
        name = name[: _LONGEST_STEM - 16] + blake2b(name, digest_size=8).hexdigest().encode()
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


def _refuse_other_file(file: Path) -> None:
    """Refuse to lock with a file that somebody has written, for it would be overwritten and then removed.

    Raises:
        OutputError: it holds something else than a lock does.
    """
    try:
        found = file.lstat()
        is_small_file = S_ISREG(found.st_mode) and found.st_size <= _LARGEST_LOCK
        is_ours = is_small_file and _OF_A_LOCK.fullmatch(file.read_bytes()) is not None
    except FileNotFoundError:  # its holder may be removing it
        return
    if not is_ours:
        raise OutputError(
            f"{file}: is needed as a lock, and holds something else. Move it away, or name another folder."
        )


_MIN_FREE_BYTES = 2**16  # bytes


_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


_DISK_FULL_MESSAGES = (
    "No space left",
    "unexpected pos",
    "iostream error",
)  # the last two are torch.save's


def is_disk_full(folder: Path, error: Exception) -> bool:
    """Whether a failed write is the disk's fault."""
    if getattr(error, "errno", None) in _DISK_FULL_ERRNOS or any(
        words in str(error) for words in _DISK_FULL_MESSAGES
    ):
        return True
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(place).free < _MIN_FREE_BYTES
