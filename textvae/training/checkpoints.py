"""Checkpoints that are whole or not there: written beside, flushed, renamed.

`checkpoint-N` inside a run holds the model and what a resumed run needs. A
folder only gets that name once all its files are on the disk; whatever an
interrupted save left behind is swept away. A checkpoint lists its files with
their checksums, so that a file that was lost or damaged later is noticed.
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


_PIECE = 2**20  # bytes read at a time


_CHECKPOINT_PATTERN = re.compile(r"checkpoint-(\d+)")


def finalize_checkpoint(staged: Path, final: Path) -> None:
    """Flush every file of `staged` and give the folder its final name."""
    for path in (*staged.rglob("*"), staged):
        flush_to_disk(path)
    if final.exists():
        remove(final)
    staged.replace(final)
    flush_to_disk(final.parent)


def remove_partial_checkpoints(run: Path) -> None:
    """Remove what an interrupted save left; of a link only itself, for what it points to is not ours."""
    with suppress(OSError):
        remove(run / STAGING_FOLDER)


def list_checkpoints(run: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    found = [
        (int(match[1]), path)
        for path in run.glob("checkpoint-*")
        if (match := _CHECKPOINT_PATTERN.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    match = _CHECKPOINT_PATTERN.fullmatch(checkpoint.name)
    assert match is not None, "checkpoints are found by their names"
    return int(match[1])


def find_newest_complete(run: Path) -> Path | None:
    """Return the newest checkpoint that a run can go on from, or None."""
    return next((path for path in reversed(list_checkpoints(run)) if is_complete(path)), None)


def checkpoint_to_resume(run: Path) -> Path | None:
    """Return the newest checkpoint that a run can go on from; None where the run has not written any.

    Raises:
        CheckpointError: every checkpoint is damaged.
    """
    whole = find_newest_complete(run)
    found = list_checkpoints(run)
    if whole is None and found:
        raise CheckpointError(
            f"{run}: cannot be resumed, for no checkpoint is whole: {damage(found[-1])} is missing or damaged. "
            "Copy the run again, whole, or start again with --overwrite."
        )
    return whole


def is_complete(checkpoint: Path) -> bool:
    """Whether a run can go on from a checkpoint."""
    return damage(checkpoint) is None


def damage(checkpoint: Path) -> Path | None:
    """Return the first file that is missing or damaged, of a checkpoint or of the best one so far; None if whole.

    The finished run has the best checkpoint's weights, so a run cannot go on without it.
    """
    broken = _broken_file(checkpoint)
    if broken is not None:
        return broken
    try:
        best = json.loads((checkpoint / "trainer_state.json").read_text())["best_global_step"]
    except (ValueError, LookupError, TypeError):
        return checkpoint / "trainer_state.json"
    best_checkpoint = checkpoint.with_name(f"checkpoint-{best}")
    if not best or best_checkpoint == checkpoint:
        return None
    return _broken_file(best_checkpoint)


def _broken_file(checkpoint: Path) -> Path | None:
    """Return the first file of a checkpoint that is not as it was written, or None."""
    try:
        written: dict[str, str] = dict(json.loads((checkpoint / CHECKSUMS).read_text()))
    except (OSError, ValueError, TypeError):
        return checkpoint / CHECKSUMS
    if not {"model.safetensors", "trainer_state.json", STATE_FILE} <= written.keys():
        return checkpoint / CHECKSUMS
    for name, expected in written.items():
        try:
            is_sound = _checksum(checkpoint / name) == expected
        except OSError:
            is_sound = False
        if not is_sound:
            return checkpoint / name
    return None


def write_checksums(staged: Path) -> None:
    """List the files of a checkpoint that is about to be published, each with its checksum."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    sums = {path.relative_to(staged).as_posix(): _checksum(path) for path in files}
    (staged / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n")


def _checksum(file: Path) -> str:
    """Return the CRC-32 of a file, in hexadecimal: enough against accidents, and as fast as the disk."""
    value = 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            value = zlib.crc32(piece, value)
    return f"{value:08x}"


@contextmanager
def load_failure_explained(checkpoint: str | Path) -> Iterator[None]:
    """Turn a state that cannot be loaded into a message: it is whole, but not a state of this run.

    Raises:
        CheckpointError: with the reason.
    """
    try:
        yield
    except _LOAD_FAILURES as error:
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise  # such as the loss of another process
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if isinstance(error, UnpicklingError):  # whose own words recommend to run the pickle
            reason = "a file holds a pickle of more than numbers"
        raise CheckpointError(
            f"{checkpoint}: does not fit this run ({reason}). "
            "Copy the run again, whole, or start again with --overwrite."
        ) from error


def keep_only(run: Path, wanted: set[str]) -> None:
    """Delete the checkpoints whose names are not wanted."""
    for path in list_checkpoints(run):
        if path.name not in wanted:
            remove(path)


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Save our part of a checkpoint."""
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """Load our part of a checkpoint."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text())
    return state
