"""Checkpoints that are either complete or absent: staged, flushed to disk, then renamed.

`checkpoint-N` inside a run holds the model and what a resumed run needs. A
folder gets that name only once all its files are on the disk; whatever an
interrupted save left is removed. A checkpoint lists its files with their
checksums, so that a file that is lost or damaged later is noticed.
"""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError

from textvae.errors import CheckpointError
from textvae.runtime.files import flush_to_disk, remove

STAGING_FOLDER = ".saving"
STATE_FILE = "textvae_state.json"
CHECKSUMS = "checksums.json"

_CHECKPOINT_PATTERN = re.compile(r"checkpoint-(\d+)")
_CHUNK_BYTES = 2**20  # read at a time for a checksum

# What the library and torch raise for a file that is not what they expect.
_LOAD_FAILURES = (
    UnpicklingError,
    SafetensorError,
    OSError,
    EOFError,
    RuntimeError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def finalize_checkpoint(staged: Path, final: Path) -> None:
    """Flush every file of `staged` to disk, then give the folder its final name.

    The order matters: after a power cut the name must not exist without the content.
    """
    for path in (*staged.rglob("*"), staged):
        flush_to_disk(path)
    if final.exists():
        remove(final)
    staged.replace(final)
    flush_to_disk(final.parent)


def remove_partial_checkpoints(run: Path) -> None:
    """Remove what an interrupted save left.

    A link in its place is removed, but not what it points to, which is not ours.
    """
    with suppress(OSError):
        remove(run / STAGING_FOLDER)


def list_checkpoints(run: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    numbered = []
    for path in run.glob("checkpoint-*"):
        match = _CHECKPOINT_PATTERN.fullmatch(path.name)
        if match:
            numbered.append((int(match[1]), path))
    return [path for _, path in sorted(numbered)]


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    match = _CHECKPOINT_PATTERN.fullmatch(checkpoint.name)
    assert match is not None, "checkpoints are found by their names"
    return int(match[1])


def find_newest_complete(run: Path) -> Path | None:
    """Return the newest checkpoint that a run can resume from, or None."""
    return next((path for path in reversed(list_checkpoints(run)) if is_complete(path)), None)


def checkpoint_to_resume(run: Path) -> Path | None:
    """Return the newest checkpoint that a run can resume from; None if it has no checkpoints.

    Raises:
        CheckpointError: every checkpoint is damaged.
    """
    complete = find_newest_complete(run)
    existing = list_checkpoints(run)
    # To start from the beginning instead would silently lose the training so far.
    if complete is None and existing:
        raise CheckpointError(
            f"{run}: cannot be resumed, because no checkpoint is complete: {damage(existing[-1])} "
            "is missing or damaged. Copy the whole run again, or start again with --overwrite."
        )
    return complete


def is_complete(checkpoint: Path) -> bool:
    """Return whether a run can resume from a checkpoint."""
    return damage(checkpoint) is None


def damage(checkpoint: Path) -> Path | None:
    """Return the first missing or damaged file of a checkpoint; None if it is complete.

    The best checkpoint so far is checked as well: the finished run gets its weights, so a run
    cannot continue without it.
    """
    damaged = _find_damaged_file(checkpoint)
    if damaged is not None:
        return damaged
    try:
        best = json.loads((checkpoint / "trainer_state.json").read_text())["best_global_step"]
    except (ValueError, LookupError, TypeError):
        return checkpoint / "trainer_state.json"
    best_checkpoint = checkpoint.with_name(f"checkpoint-{best}")
    if not best or best_checkpoint == checkpoint:
        return None
    return _find_damaged_file(best_checkpoint)


def _find_damaged_file(checkpoint: Path) -> Path | None:
    """Return the first file of a checkpoint that differs from what was written, or None."""
    try:
        checksums: dict[str, str] = dict(json.loads((checkpoint / CHECKSUMS).read_text()))
    except (OSError, ValueError, TypeError):
        return checkpoint / CHECKSUMS
    if not {"model.safetensors", "trainer_state.json", STATE_FILE} <= checksums.keys():
        return checkpoint / CHECKSUMS
    for name, expected in checksums.items():
        try:
            is_intact = _checksum(checkpoint / name) == expected
        except OSError:
            is_intact = False
        if not is_intact:
            return checkpoint / name
    return None


def write_checksums(staged: Path) -> None:
    """List the files of a finished checkpoint in it, each with its checksum."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    checksums = {path.relative_to(staged).as_posix(): _checksum(path) for path in files}
    (staged / CHECKSUMS).write_text(json.dumps(checksums, indent=2) + "\n")


def _checksum(file: Path) -> str:
    """Return the CRC-32 of a file, in hexadecimal.

    It is as fast as the disk, and strong enough to notice accidental damage.
    """
    value = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"


@contextmanager
def load_failure_explained(checkpoint: str | Path) -> Iterator[None]:
    """Explain a failure to load a checkpoint: its files are intact, but not a state of this run.

    Raises:
        CheckpointError: loading failed; the message gives the reason.
    """
    try:
        yield
    except _LOAD_FAILURES as error:
        # Subclasses of RuntimeError have another cause, such as the loss of another process.
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if isinstance(error, UnpicklingError):
            # torch's own message suggests to load the pickle, and so to execute its code.
            reason = "a file holds a pickle of more than numbers"
        raise CheckpointError(
            f"{checkpoint}: does not fit this run ({reason}). "
            "Copy the whole run again, or start again with --overwrite."
        ) from error


def keep_only(run: Path, names: set[str]) -> None:
    """Delete all checkpoints of a run except those named."""
    for path in list_checkpoints(run):
        if path.name not in names:
            remove(path)


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Save the part of a checkpoint that the library does not know."""
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """Load the part of a checkpoint that the library does not know."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text())
    return state
