"""Write files and folders so that they appear whole or not at all.

A file is written under a temporary name next to its place, flushed to the disk,
and renamed at the end, so a full disk or a killed process never destroys the file
that was there before. A temporary name says which process made it. What a killed
process left behind is removed the next time the same file or folder is written.
No other name is ever removed, so the user's own files are safe whatever they are
called.
"""

import errno
import json
import os
import re
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

# new: being written. old: moved aside to make room for a new one. gone: being removed.
_Kind = Literal["new", "old", "gone"]

TEMPORARY = re.compile(
    r"\.(?P<stem>.+)\.(?P<kind>new|old|gone)"
    r"\.textvae-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}",
    re.DOTALL,
)

# A temporary name repeats the real one up to here; file systems allow 255 bytes in all.
_MAX_STEM_BYTES = 180

_CHUNK_BYTES = 2**20  # read at a time for a checksum
_MIN_FREE_BYTES = 2**16
_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
# The last two are torch.save's; its errors have no errno.
_DISK_FULL_MESSAGES = ("No space left", "unexpected pos", "iostream error")


@contextmanager
def write_atomically(file: Path, sweeps: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `file` if the block succeeds.

    If `file` is a link, the file it points to is replaced. Anything that is not a
    regular file (a pipe, /dev/stdout) is written to directly.

    Args:
        file: the file to write or replace.
        sweeps: whether to remove what a killed process left of the same file. This lists
            the folder, which is slow in a folder of many thousand files.

    Raises:
        OSError: the file cannot be written; a previous version is unchanged.
    """
    if file.exists() and not file.is_file():
        yield file
        return
    target = Path(os.path.realpath(file))
    if sweeps:
        clean_up_after_kill(target)
    partial = _temporary(target, "new")
    try:
        # Renaming needs no permission for the file itself, so a read-only one would be replaced.
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        yield partial
        if target.exists():
            shutil.copymode(target, partial)
        # Without the flush, a power cut after the rename could leave an empty file.
        flush_to_disk(partial)
        partial.replace(target)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(file)  # the name that the user knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with write_atomically(file) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(file: Path, record: Any) -> None:
    """Write a JSON file atomically."""
    write_text(file, json.dumps(record, indent=2) + "\n")


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: the file cannot be read, or is not JSON; the message is the reason alone.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except RecursionError:
        raise ValueError("its values are nested too deep") from None


def compute_checksum(file: Path) -> str:
    """Return the CRC-32 of a file, in hexadecimal.

    This checksum is computed as fast as the disk is read, and it detects accidental damage.
    """
    value = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"


def _read_umask() -> int:
    """Return the permissions that new files do not get."""
    mask = os.umask(0)  # it can only be read by setting it
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # now, while no other thread writes files


def let_others_read(file: Path) -> None:
    """Give a file the permissions of a new one; safetensors lets only the owner read its files."""
    with suppress(OSError):  # some file systems have no permissions
        file.chmod(0o666 & ~_UMASK)


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder next to `target` to fill, and remove it at the end.

    The caller moves it to its final place, for example with `replace_folder`;
    then nothing is left to remove.
    """
    with make_parents(target):
        folder = _temporary(target, "new")
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Rename the folder `new` to `target`, replacing an existing folder.

    The existing folder is removed last, so one of the two is always complete.

    Raises:
        OSError: it cannot be done; the existing folder has its name back.
    """
    for path in (*new.rglob("*"), new):
        if not path.is_symlink():
            flush_to_disk(path)
    # A folder cannot be renamed onto one with content. If another process puts its own folder
    # there after ours was moved aside, try again: the last one to arrive wins.
    while not _take_place(new, target):
        pass


def _take_place(new: Path, target: Path) -> bool:
    """Move `target` aside and `new` to its place; return False if another process came first."""
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
    """Remove a file, a folder with its contents, or a link without what it points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Return whether a file or folder has one of this module's temporary names."""
    return TEMPORARY.fullmatch(name) is not None


def clean_up_after_kill(target: Path, is_locked: bool = False) -> None:
    """Restore what killed processes had moved aside at `target`, and remove the rest.

    Args:
        target: the file or folder that the killed processes were writing.
        is_locked: the caller keeps all other processes out, so anything temporary is a
            leftover, even if its process number is in use again.
    """
    for old in find_left_over(target, "old", is_locked):
        _restore_or_discard(old, target)
    unfinished = find_left_over(target, "new", is_locked)
    unfinished += find_left_over(target, "gone", is_locked)
    for path in unfinished:
        with suppress(OSError):
            remove(path)


def find_left_over(target: Path, kind: _Kind, is_locked: bool = False) -> list[Path]:
    """Return the temporary files and folders of a kind that no running process works on."""
    try:
        names = os.listdir(target.parent)
    except OSError:  # the parent folder is missing, or may not be listed
        return []
    return [
        target.parent / name
        for name in sorted(names)
        if _is_left_over(name, target, kind, is_locked)
    ]


def _is_left_over(name: str, target: Path, kind: _Kind, is_locked: bool) -> bool:
    """Return whether a name is a temporary one of `target` whose process has ended."""
    match = TEMPORARY.fullmatch(name)
    if not match or match["stem"] != _stem(target) or match["kind"] != kind:
        return False
    if is_locked:
        return True
    # On a shared disk, another machine's process number says nothing here.
    return match["machine"] == machine_id() and not is_process_alive(int(match["process"]))


def _restore_or_discard(old: Path, target: Path) -> None:
    """Move a folder back to its place if that place is free, otherwise remove it."""
    if not old.exists():
        return
    if not target.exists():
        old.rename(target)
        return
    # Rename it before removing it: a half-removed folder named "old" could be restored later.
    gone = _temporary(target, "gone")
    with suppress(OSError):
        old.rename(gone)
        remove(gone)


def _temporary(target: Path, kind: _Kind) -> Path:
    """Return an unused name next to `target` that says which process uses it."""
    return target.with_name(
        f".{_stem(target)}.{kind}.textvae-{machine_id()}-{os.getpid()}-{token_hex(4)}"
    )


def _stem(target: Path) -> str:
    """Return the part of a temporary name that stands for `target`.

    A long name is shortened; a hash of all of it keeps names with the same beginning apart.
    """
    name = os.fsencode(target.name)
    if len(name) > _MAX_STEM_BYTES:
        digest = blake2b(name, digest_size=8).hexdigest().encode()
        name = name[: _MAX_STEM_BYTES - 16] + digest
    return name.decode(errors="ignore")


@cache
def machine_id() -> str:
    """Return a short hash of the machine, or the container, whose process numbers we see."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return blake2b(f"{socket.gethostname()} {namespace}".encode(), digest_size=4).hexdigest()


def is_process_alive(process: int) -> bool:
    """Return whether a process of this machine is running."""
    try:
        os.kill(process, 0)  # signal 0 checks only that the process exists
    except ProcessLookupError:
        return False
    except OSError:  # it exists, and belongs to another user
        return True
    return True


@contextmanager
def make_parents(path: Path) -> Iterator[None]:
    """Create a path's missing parent folders; at the end, remove those that are still empty."""
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):  # it is not empty any more
                folder.rmdir()


def is_disk_full(folder: Path, error: Exception) -> bool:
    """Return whether a write into `folder` failed because the disk is full."""
    if getattr(error, "errno", None) in _DISK_FULL_ERRNOS:
        return True
    if any(words in str(error) for words in _DISK_FULL_MESSAGES):
        return True
    # Some libraries report another error, so look at the disk itself. The folder may not exist.
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free < _MIN_FREE_BYTES
