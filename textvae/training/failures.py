"""The disk: a write that failed, explained, with what it left half-written swept away."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch.distributed as dist
from safetensors import SafetensorError

from textvae.errors import OutputError, TextVAEError, TrainingError
from textvae.runs.run import Run, is_run
from textvae.runtime.files import is_disk_full
from textvae.runtime.processes import Processes
from textvae.training import checkpoints


@contextmanager
def explain_full_disk(
    folder: Path, processes: Processes, remedy: str | None = None
) -> Iterator[None]:
    """Turn a write that failed into a message.

    Args:
        remedy: what to do once there is room; by default to go on with the run, if it has been begun.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except (
        OSError,
        RuntimeError,
        SafetensorError,
    ) as error:  # each library has its own way to say it
        was_full = is_disk_full(folder, error)  # before sweeping makes room
        if processes.is_first and is_run(folder):  # none of the others writes a checkpoint
            checkpoints.remove_partial_checkpoints(folder)
        if was_full:
            if remedy is None:
                remedy = "go on with --resume" if folder.exists() else "start again"
            raise OutputError(f"{folder}: the disk is full. Make room, then {remedy}.") from error
        if isinstance(error, OSError):
            raise OutputError(f"{folder}: cannot be written: {error}") from error
        raise


_LOST_PEER_PHRASES = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
)


class _TerminatedError(RuntimeError):
    """The launcher ended this process: it does so when another one has died."""


@contextmanager
def explain_lost_process(run: Path, processes: Processes) -> Iterator[None]:
    """Turn the end of another process into a message.

    Raises:
        TrainingError: with the last checkpoint, and how to go on.
    """
    if processes.count == 1:
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    except Exception as error:
        if not _is_lost_process(error):
            signal.signal(signal.SIGTERM, before)
            raise
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # or the launcher would end us before we have spoken
        raise TrainingError(
            "another process of this run has died or fallen silent, or the launcher was ended; "
            f"that process, or the launcher's report, says why. {_describe_resume_point(run)}"
        ) from error
    signal.signal(signal.SIGTERM, before)


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    """Stop where we are; a checkpoint that is being written then never gets its name."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _TerminatedError("terminated by the launcher")


def _describe_resume_point(run: Path) -> str:
    """Say from where the run can go on."""
    if not run.is_dir():
        return "Nothing had been written yet: start again."
    kept = checkpoints.find_newest_complete(run)
    state = (
        f"The last checkpoint is {kept}"
        if kept
        else "There is no checkpoint yet, but the corpus is prepared"
    )
    many = "before" if Run(run).is_streamed() else "you like"
    return f"{state}. Go on, on as many processes as {many}: textvae train --output {run} --resume"


def _is_lost_process(error: Exception) -> bool:
    """Whether it speaks of a process that is gone."""
    if isinstance(error, TextVAEError):
        return False  # it says itself what went wrong: a store's broken connection, too
    said = str(error)
    return isinstance(error, _TerminatedError | dist.DistError) or any(
        words in said for words in _LOST_PEER_PHRASES
    )
