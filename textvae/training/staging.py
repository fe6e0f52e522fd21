"""A new run folder: filled in a staging folder next to it, so that it is complete or absent.

The staging folder gets its final name with one rename. An existing empty folder
is filled instead, and nothing that is not certainly a run is ever replaced.
"""

import os
from collections.abc import Callable
from pathlib import Path

from textvae.data.row_report import print_note
from textvae.errors import OutputError
from textvae.runs.run import LOCK, SETTINGS_FILE, Run, find_foreign_entries, is_run
from textvae.runtime.files import (
    clean_up_after_kill,
    find_left_over,
    new_folder,
    remove,
    replace_folder,
)
from textvae.runtime.processes import Processes
from textvae.training.failures import explain_full_disk

_STAGED_RUN = "run"  # staging folders inside an existing empty folder are named after this


def create_run_folder(
    run: Run, fill: Callable[[Run], None], *, overwrite: bool, processes: Processes
) -> None:
    """Fill a run in a staging folder, then give it its place.

    Args:
        fill: prepares the run in the folder it gets. Whatever it refuses leaves no trace.
        overwrite: replace a run that is already there.

    Raises:
        OutputError: the folder holds another run, or something else.
    """
    _refuse_existing_files(run.folder, overwrite)
    folder = run.folder.resolve()
    _report_earlier_release(folder)
    is_empty = folder.is_dir() and not is_run(folder)
    # An existing empty folder is filled and not replaced, since a shell may be in it. So the
    # staging folder has to be inside it: the folder may be the mount point of another disk.
    target = folder
    if is_empty:
        target = folder / _STAGED_RUN
    remedy = "run the same command again; existing files are unchanged"
    with explain_full_disk(run.folder, processes, remedy), new_folder(target) as staging:
        fill(Run(staging))
        _refuse_existing_files(run.folder, overwrite)  # preparation may have taken hours
        if is_empty:
            _move_contents(staging, folder)
        elif folder.exists():
            replace_folder(staging, folder)
        else:
            staging.rename(folder)


def tidy_up_after_a_kill(folder: Path) -> None:
    """Restore or complete a run that a killed process was moving; the caller holds its lock."""
    path = folder.resolve()
    clean_up_after_kill(path, is_locked=True)
    for staging in find_left_over(path / _STAGED_RUN, "new", is_locked=True):
        # The staging folder has settings only once all of it is prepared.
        if (staging / SETTINGS_FILE).is_file() and not (path / SETTINGS_FILE).exists():
            _move_contents(staging, path)
        remove(staging)


def _report_earlier_release(folder: Path) -> None:
    """Report the staging folder of an earlier release that was killed.

    Its name does not show for certain that textvae made it, so it is not removed.
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
    entries = [entry for entry in path.iterdir() if not _is_ours_while_empty(entry)]
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
    _refuse_fixed_folder(folder, path)


def _foreign_files_error(folder: Path, names: list[str]) -> OutputError:
    """Return the error that names files which do not belong to a run."""
    listed = ", ".join(names[:3])
    if len(names) > 3:
        listed += ", ..."
    return OutputError(
        f"{folder}: holds something that does not belong to a run: {listed}. "
        "Choose another --output; --overwrite replaces runs only, and deletes nothing else."
    )


def _refuse_fixed_folder(folder: Path, path: Path) -> None:
    """Refuse to replace a folder that cannot be renamed, or that the user would lose from sight.

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


def _is_ours_while_empty(path: Path) -> bool:
    """Return whether a path in an otherwise empty folder is our lock or our staging folder."""
    if path.name == LOCK:
        return True
    return path in find_left_over(path.parent / _STAGED_RUN, "new", is_locked=True)


def _move_contents(staging: Path, folder: Path) -> None:
    """Move a prepared run into an empty folder, entry by entry.

    The settings come last: with them the folder is a run, so it must be complete by then.
    """
    for path in sorted(staging.iterdir(), key=lambda path: path.name == SETTINGS_FILE):
        path.rename(folder / path.name)
