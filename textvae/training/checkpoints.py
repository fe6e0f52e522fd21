"""Checkpoints that are either complete or absent: staged, flushed to disk, then renamed.

The folder `checkpoint-N` of a run holds the model after step N and what a resumed
run needs. A folder gets that name only once all its files are on the disk; what an
interrupted save leaves is removed later. A checkpoint lists its files with their
checksums, so that a file that is lost or damaged later is noticed.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError

from textvae.errors import CheckpointError
from textvae.runtime.files import compute_checksum, flush_to_disk, remove

STAGING_FOLDER = ".saving"
STATE_FILE = "textvae_state.json"
CHECKSUMS = "checksums.json"

_CHECKPOINT_PATTERN = re.compile(r"checkpoint-(\d+)")

# What transformers and torch raise for a file with unexpected content.
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
    # A run that continued from an older checkpoint writes the damaged newer one again.
    if final.exists():
        remove(final)
    staged.replace(final)
    flush_to_disk(final.parent)


def remove_partial_checkpoints(run_folder: Path) -> None:
    """Remove what an interrupted save left.

    If the staging folder is a link, only the link is removed, since its target is not ours.
    """
    with suppress(OSError):
        remove(run_folder / STAGING_FOLDER)


def list_checkpoints(run_folder: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    numbered = []
    for path in run_folder.glob("checkpoint-*"):
        match = _CHECKPOINT_PATTERN.fullmatch(path.name)
        if match:
            numbered.append((int(match[1]), path))
    return [path for _, path in sorted(numbered)]


def parse_step(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written, from its name."""
    match = _CHECKPOINT_PATTERN.fullmatch(checkpoint.name)
    assert match is not None, "list_checkpoints finds folders of such names only"
    return int(match[1])


def find_newest_complete(run_folder: Path) -> Path | None:
    """Return the newest checkpoint that a run can resume from, or None."""
    for path in reversed(list_checkpoints(run_folder)):
        if is_complete(path):
            return path
    return None


def find_checkpoint_to_resume(run_folder: Path) -> Path | None:
    """Return the newest checkpoint that a run can resume from; None if it has no checkpoints.

    Raises:
        CheckpointError: the run has checkpoints, and every one is damaged.
    """
    complete = find_newest_complete(run_folder)
    existing = list_checkpoints(run_folder)
    # To start from the beginning instead would silently lose the training so far.
    if complete is None and existing:
        damaged = find_damaged_file(existing[-1])
        raise CheckpointError(
            f"{run_folder}: cannot be resumed, because no checkpoint is complete: {damaged} "
            "is missing or damaged. Copy the whole run again, or start again with --overwrite."
        )
    return complete


def is_complete(checkpoint: Path) -> bool:
    """Return whether a run can resume from a checkpoint."""
    return find_damaged_file(checkpoint) is None


def find_damaged_file(checkpoint: Path) -> Path | None:
    """Return the first missing or damaged file that resuming needs; None if all are intact.

    The file is in this checkpoint, or in the one that was the best when this one was written:
    the finished run may get its weights, so a run cannot continue without it.
    """
    damaged = _find_damage_inside(checkpoint)
    if damaged is not None:
        return damaged
    try:
        best = json.loads((checkpoint / "trainer_state.json").read_text())["best_global_step"]
    except (ValueError, LookupError, TypeError):
        return checkpoint / "trainer_state.json"
    best_checkpoint = checkpoint.with_name(f"checkpoint-{best}")
    if not best or best_checkpoint == checkpoint:  # no best one yet, or it has just been checked
        return None
    return _find_damage_inside(best_checkpoint)


def _find_damage_inside(checkpoint: Path) -> Path | None:
    """Return the first file of this checkpoint that differs from what was written, or None."""
    try:
        checksums: dict[str, str] = dict(json.loads((checkpoint / CHECKSUMS).read_text()))
    except (OSError, ValueError, TypeError):
        return checkpoint / CHECKSUMS
    # A list without these files is not one that `write_checksums` wrote.
    if not {"model.safetensors", "trainer_state.json", STATE_FILE} <= checksums.keys():
        return checkpoint / CHECKSUMS
    for name, expected in checksums.items():
        try:
            is_intact = compute_checksum(checkpoint / name) == expected
        except OSError:
            is_intact = False
        if not is_intact:
            return checkpoint / name
    return None


def write_checksums(staged: Path) -> None:
    """Write checksums.json, which lists all other files of a checkpoint with their checksums."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    checksums = {path.relative_to(staged).as_posix(): compute_checksum(path) for path in files}
    (staged / CHECKSUMS).write_text(json.dumps(checksums, indent=2) + "\n")


@contextmanager
def explain_load_failure(checkpoint: str | Path) -> Iterator[None]:
    """Explain why a checkpoint with intact files cannot be loaded: it is not a state of this run.

    Raises:
        CheckpointError: loading failed; the message gives the reason.
    """
    try:
        yield
    except _LOAD_FAILURES as error:
        # Subclasses of RuntimeError have another cause, such as the loss of another process.
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise
        one_line = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {one_line[:200]}"
        if isinstance(error, UnpicklingError):
            # torch's own message suggests loading the pickle, which would execute its code.
            reason = "a file holds pickled objects other than tensors and numbers"
        raise CheckpointError(
            f"{checkpoint}: does not fit this run ({reason}). "
            "Copy the whole run again, or start again with --overwrite."
        ) from error


def keep_only(run_folder: Path, names: set[str]) -> None:
    """Delete all checkpoints of a run except those named."""
    for path in list_checkpoints(run_folder):
        if path.name not in names:
            remove(path)


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Save the part of a checkpoint that transformers' Trainer does not know."""
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """Load the part of a checkpoint that transformers' Trainer does not know."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text())
    return state
