"""Explain failures that are not bugs: failed writes, and the loss of another process."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch.distributed as dist
from safetensors import SafetensorError

from textvae.errors import OutputError, TextVAEError, TrainingError
from textvae.messages import LOGGER
from textvae.runs.run import Run, is_run
from textvae.runtime.files import is_disk_full
from textvae.runtime.processes import Processes
from textvae.runtime.signals import StopSignals
from textvae.terminal import escape_controls
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
        if isinstance(error, OSError) and _concerns(folder, error):
            raise OutputError(f"{folder}: cannot be written: {error}") from error
        raise


def _concerns(folder: Path, error: OSError) -> bool:
    """Whether an error is that of a file in a folder, and not of a network or of another file."""
    if isinstance(error.filename, str | bytes):
        file = Path(os.fsdecode(error.filename)).absolute()
        return file.is_relative_to(folder.absolute().parent)
    # Libraries leave out the name; connections have errors of other classes, or without a number.
    return error.errno is not None and not isinstance(error, ConnectionError | TimeoutError)


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
    try:
        yield
    except Exception as error:
        if not _is_lost_process(error):
            raise
        # Ignore the launcher's signal: it could end this process before the message is printed.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TrainingError(
            "another process of this run has died or no longer answers, or the launcher was "
            "ended; the output of that process, or the launcher's report, says why. "
            f"{describe_resume_point(folder, processes)}"
        ) from error


@contextmanager
def explain_stop(
    describe: Callable[[], str], signals: StopSignals, processes: Processes
) -> Iterator[None]:
    """Say how to go on if a signal stops this process inside the block.

    Args:
        describe: returns sentences that say what was saved, and how to go on.

    Raises:
        KeyboardInterrupt: for SIGINT, with the explanation as its message.
        SystemExit: for other signals; the explanation is printed on standard error.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted. {describe()}") from error
    except SystemExit:
        if signals.received is not None and processes.is_first:
            with suppress(OSError):  # the terminal may be closed
                message = f"stopped by {signals.received.name}. {describe()}"
                LOGGER.warning(escape_controls(message))
        raise


def describe_unprepared(folder: Path) -> str:
    """Return what is on the disk if the preparation of a run was stopped, and how to go on."""
    unchanged = ", and the existing run is unchanged" if folder.exists() else ""
    return f"Nothing was written to {folder}{unchanged}: run the same command again."


def describe_resume_point(folder: Path, processes: Processes) -> str:
    """Return sentences that say from where, and with which command, the run can continue."""
    if not is_run(folder):
        return "Nothing had been written yet: start again."
    if Run(folder).is_finished():
        return f"The run in {folder} is finished."
    checkpoint = checkpoints.find_newest_complete(folder)
    state = "There is no checkpoint yet, but the corpus is prepared"
    finish = ""
    if checkpoint:
        state = f"The last checkpoint is {checkpoint}"
        finish = f" (or end it now, with the model that it has: textvae finish {folder})"
    how_many = ""
    if processes.count > 1:
        # Each process saves its own position in a stream, so their number must not change.
        is_fixed = Run(folder).is_streamed()
        how_many = " on as many processes as before" if is_fixed else " on any number of processes"
    return f"{state}. Continue{how_many}: textvae train --output {folder} --resume{finish}"


def _is_lost_process(error: Exception) -> bool:
    """Return whether an error was caused by the loss of another process."""
    if isinstance(error, TextVAEError):
        return False  # its message is clear already, even if it mentions a broken connection
    if isinstance(error, dist.DistError):
        return True
    message = str(error)
    return any(phrase in message for phrase in _LOST_PEER_PHRASES)
