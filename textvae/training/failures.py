"""Explain failures that are not bugs: failed writes, and the loss of another process."""

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

# gloo raises plain RuntimeErrors, which can be recognized by their messages alone.
_LOST_PEER_PHRASES = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
)


@contextmanager
def explain_write_errors(
    folder: Path, processes: Processes, remedy: str | None = None
) -> Iterator[None]:
    """Explain a write that failed, and remove the partial checkpoint that it left.

    Args:
        folder: the run folder.
        remedy: what to do once there is space, for the message; by default, resume the run if it
            exists, or start again.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    # torch and safetensors turn an OSError into errors of their own.
    except (OSError, RuntimeError, SafetensorError) as error:
        was_full = is_disk_full(folder, error)  # before the removal makes space
        if processes.is_first and is_run(folder):  # only the first process writes checkpoints
            checkpoints.remove_partial_checkpoints(folder)
        if was_full:
            if remedy is None:
                remedy = "continue with --resume" if folder.exists() else "start again"
            raise OutputError(f"{folder}: the disk is full. Make room, then {remedy}.") from error
        if isinstance(error, OSError):
            raise OutputError(f"{folder}: cannot be written: {error}") from error
        raise


class _TerminatedError(RuntimeError):
    """The launcher ended this process, as it does when another process has died."""


@contextmanager
def explain_lost_process(folder: Path, processes: Processes) -> Iterator[None]:
    """Explain the loss of another process.

    Args:
        folder: the run folder.

    Raises:
        TrainingError: another process is lost; the message says how to continue.
    """
    if processes.count == 1:
        yield
        return
    previous_handler = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    except Exception as error:
        if not _is_lost_process(error):
            signal.signal(signal.SIGTERM, previous_handler)
            raise
        # Ignore the launcher's signal: it could end this process before the message is printed.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TrainingError(
            "another process of this run has died or no longer answers, or the launcher was "
            "ended; the output of that process, or the launcher's report, says why. "
            f"{_describe_resume_point(folder)}"
        ) from error
    signal.signal(signal.SIGTERM, previous_handler)


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM: stop at once, so that a checkpoint that is being written stays partial."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _TerminatedError("terminated by the launcher")


def _describe_resume_point(folder: Path) -> str:
    """Return sentences that say from where, and with which command, the run can continue."""
    if not folder.is_dir():
        return "Nothing had been written yet: start again."
    checkpoint = checkpoints.find_newest_complete(folder)
    state = "There is no checkpoint yet, but the corpus is prepared"
    if checkpoint:
        state = f"The last checkpoint is {checkpoint}"
    # Each process saves its own position in a stream, so their number must not change.
    how_many = "any number of processes"
    if Run(folder).is_streamed():
        how_many = "as many processes as before"
    return f"{state}. Continue on {how_many}: textvae train --output {folder} --resume"


def _is_lost_process(error: Exception) -> bool:
    """Return whether an error was caused by the loss of another process."""
    if isinstance(error, TextVAEError):
        return False  # its message is clear already, even if it mentions a broken connection
    if isinstance(error, _TerminatedError | dist.DistError):
        return True
    message = str(error)
    return any(phrase in message for phrase in _LOST_PEER_PHRASES)
