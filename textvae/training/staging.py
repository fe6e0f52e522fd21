"""A new run folder: filled in a staging folder next to it, so that it is complete or absent.

The staging folder gets its final name with one rename. An existing empty folder
is filled instead, and an existing run is replaced only if nothing else is in it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from textvae.errors import OutputError
from textvae.messages import print_note
from textvae.runs.run import LOCK, SETTINGS_FILE, Run, find_foreign_entries, is_run
from textvae.runtime.files import (
    clean_up_after_kill,
    find_left_over,
    new_folder,
    remove,
    replace_folder,
)
from textvae.runtime.processes import Processes
from textvae.training.failures import explain_write_errors

# If the run folder exists and is empty, its staging folder is inside it, named after this.
_STAGED_RUN = "run"


def create_run_folder(
    run: Run, fill: Callable[[Run], None], *, overwrite: bool, processes: Processes
) -> None:
    """Prepare a run in a staging folder, then move it to its place.

    Args:
        run: the run folder to create.
        fill: prepares the run that it is passed. If it raises an error, its files are removed.
        overwrite: replace a run that already exists.

    Raises:
        OutputError: the folder holds files that are not a run, or a run and `overwrite` is not
            set; or it cannot be written, for example because the disk is full.
    """
    _refuse_existing_files(run.folder, overwrite)
    folder = run.folder.resolve()
    _report_earlier_release(folder)
    # After the check above, a folder that is not a run can only be empty.
    is_empty = folder.is_dir() and not is_run(folder)
    # An existing empty folder is filled and not replaced, since a shell may be in it. So the
    # staging folder has to be inside it: the folder may be the mount point of another disk, and
    # files cannot be renamed from one disk to another.
    target = folder
    if is_empty:
        target = folder / _STAGED_RUN
    remedy = "run the same command again; existing files are unchanged"
    with explain_write_errors(run.folder, processes, remedy), new_folder(target) as staging:
        fill(Run(staging))
        # Again: preparation may have taken hours, and somebody may have used the folder since.
        _refuse_existing_files(run.folder, overwrite)
        if is_empty:
            _move_contents(staging, folder)
        elif folder.exists():
            replace_folder(staging, folder)
        else:
            staging.rename(folder)


def tidy_up_after_a_kill(folder: Path) -> None:
    """Restore or complete a run whose process was killed while it moved the run to its place.

    The caller must hold the lock of the run.
    """
    path = folder.resolve()
    clean_up_after_kill(path, is_locked=True)
    for staging in find_left_over(path / _STAGED_RUN, "new", is_locked=True):
        # The staging folder has settings only once all of it is prepared.
        if (staging / SETTINGS_FILE).is_file() and not (path / SETTINGS_FILE).exists():
            _move_contents(staging, path)
        remove(staging)


def _report_earlier_release(folder: Path) -> None:
    """Print a note if an earlier release of textvae was killed and left its staging folder.

    The folder is not removed, because its name does not prove that textvae made it.
    """
    left_over = folder.with_name(f".{folder.name}.preparing")
    if (left_over / "corpus").is_dir():
        print_note(
            f"{left_over}: an earlier release of textvae was killed there; nothing needs this "
            "folder, and you can remove it."
        )


def _refuse_existing_files(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that is not empty, unless it is certainly a run and may be replaced.

    Raises:
        OutputError: the folder must not be written to; the message says what it holds.
    """
    path = folder.resolve()
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise _foreign_files_error(folder, [path.name])
    entries = [entry for entry in path.iterdir() if not _is_lock_or_staging(entry)]
    if not entries:
        return
    if not is_run(path):
        raise _foreign_files_error(folder, sorted(entry.name for entry in entries))
    if not overwrite:
        raise OutputError(
            f"{folder}: holds a run already. Choose another --output, continue the run with "
            "--resume, or replace it with --overwrite."
        )
    foreign = find_foreign_entries(path)
    if foreign:
        raise _foreign_files_error(folder, foreign)
    _refuse_mount_or_working_directory(folder, path)


def _foreign_files_error(folder: Path, names: list[str]) -> OutputError:
    """Return the error that names files which do not belong to a run."""
    listed = ", ".join(names[:3])
    if len(names) > 3:
        listed += ", ..."
    return OutputError(
        f"{folder}: holds something that does not belong to a run: {listed}. "
        "Choose another --output; --overwrite replaces runs only, and deletes nothing else."
    )


def _refuse_mount_or_working_directory(folder: Path, path: Path) -> None:
    """Refuse to replace a folder that cannot be renamed, or that the command runs in.

    Args:
        folder: the folder as the user named it.
        path: its absolute path, without links.

    Raises:
        OutputError: it is a mount point, or the working directory is inside it.
    """
    if path.is_mount():
        reason = "a disk is mounted there"
    elif Path.cwd().is_relative_to(path):
        reason = "the command runs inside it"
    else:
        return
    raise OutputError(f"{folder}: cannot be replaced, because {reason}. Choose another --output.")


def _is_lock_or_staging(path: Path) -> bool:
    """Return whether a path is our lock or a staging folder; with these a folder still counts as empty."""
    if path.name == LOCK:
        return True
    return path in find_left_over(path.parent / _STAGED_RUN, "new", is_locked=True)


def _move_contents(staging: Path, folder: Path) -> None:
    """Move a prepared run into an empty folder, entry by entry.

    The settings come last: with them the folder is a run, so it must be complete by then.
    """
    for path in sorted(staging.iterdir(), key=lambda path: path.name == SETTINGS_FILE):
        path.rename(folder / path.name)
