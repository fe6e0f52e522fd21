"""Atomic files and folders, and locks: nothing is lost or mixed, and the user's files stay."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from textvae.errors import OutputError
from textvae.runtime import files
from textvae.runtime.files import (
    clean_up_after_kill,
    is_temporary,
    new_folder,
    remove,
    replace_folder,
    write_atomically,
    write_text,
)
from textvae.runtime.locks import hold_lock

ROOT = Path(__file__).parents[2]
HOLD = "import sys, time; from pathlib import Path; from textvae.runtime.locks import hold_lock\n"
HOLD += "with hold_lock(Path(sys.argv[1]), 'busy'): print('held', flush=True); time.sleep(60)"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def filled(folder, content):
    folder.mkdir()
    (folder / "file").write_text(content)
    return folder


def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def temporary_name(process, target, kind="new"):
    """Return a temporary name as a process of this machine would make it."""
    name = files._temporary(target, kind).name
    return target.with_name(re.sub(r"-\d+-", f"-{process}-", name))


@pytest.fixture
def dead():
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    """The error names the file as the user knows it, and no temporary file stays."""
    file = tmp_path / "report.html"
    file.write_text("old")
    monkeypatch.setattr(files, "flush_to_disk", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_text(file, "new")
    assert caught.value.filename == str(file)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    """The file is always complete, and is that of the last writer to finish."""
    file = tmp_path / "z.npy"
    with write_atomically(file) as first:
        with write_atomically(file) as second:
            second.write_text("second")
            first.write_text("the first")
        assert file.read_text() == "second"
    assert file.read_text() == "the first"
    assert names(tmp_path) == ["z.npy"]


def test_a_link_to_a_file_stays_a_link(tmp_path):
    """The file it points to is replaced, and keeps its permissions."""
    target = tmp_path / "target"
    link = tmp_path / "link"
    write_text(target, "old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_only_leftovers_of_ended_processes_are_removed(tmp_path, dead):
    """Files of a running process stay, and so do those of the user with a similar name."""
    target = tmp_path / "z.npy"
    leftover = temporary_name(dead, target)
    others = [
        temporary_name(os.getpid(), target),
        temporary_name(dead, tmp_path / "other.npy"),
        tmp_path / ".z.npy.new.textvae",
    ]
    for path in (leftover, *others):
        path.write_text("content")
    write_text(target, "new")
    assert names(tmp_path) == sorted(path.name for path in [target, *others])


def test_temporary_names_are_recognized(tmp_path):
    """The file's own name may be long and have any characters; the result fits a file system."""
    for name in ("run", "a b.npy", ".hidden", "é" * 120, "[*]\n"):
        temporary = files._temporary(tmp_path / name, "new").name
        assert is_temporary(temporary)
        assert len(os.fsencode(temporary)) <= 255
    for name in (".run.preparing", ".run.old", ".z.npy", "run", ".run.new.textvae-1-2-3"):
        assert not is_temporary(name)


def test_long_names_with_the_same_beginning_do_not_collide(tmp_path):
    """Cleaning up after one file does not remove the temporary file of the other."""
    first, second = (tmp_path / ("long" * 60 + end) for end in "ab")
    temporary = files._temporary(first, "new")
    temporary.touch()
    clean_up_after_kill(second, is_locked=True)
    assert names(tmp_path) == [temporary.name]
    clean_up_after_kill(first, is_locked=True)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_gets_its_name_back(tmp_path, monkeypatch):
    """The second rename fails after the first has moved the old folder aside."""
    target = filled(tmp_path / "run", "old")
    rename = Path.rename

    def fail_for_new(path, to):
        return fail() if ".new." in path.name else rename(path, to)

    new = filled(files._temporary(target, "new"), "new")
    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(OSError, match="No space left"):
        replace_folder(new, target)
    remove(new)
    assert names(tmp_path) == ["run"]
    assert (target / "file").read_text() == "old"


def test_replacing_a_folder_replaces_all_of_its_content(tmp_path):
    """No file of the old folder stays, in the new one or next to it."""
    target = filled(tmp_path / "run", "old")
    (target / "more").mkdir()
    with new_folder(target) as new:
        (new / "file").write_text("new")
        replace_folder(new, target)
    assert names(tmp_path) == ["run"]
    assert names(target) == ["file"]
    assert (target / "file").read_text() == "new"


def test_what_a_killed_process_moved_aside_is_restored(tmp_path, dead):
    """It was killed before the new folder was in place; the unfinished one is removed."""
    target = tmp_path / "run"
    filled(temporary_name(dead, target, "old"), "old")
    filled(temporary_name(dead, target), "half")
    clean_up_after_kill(target)
    assert names(tmp_path) == ["run"]
    assert (target / "file").read_text() == "old"


def test_what_a_killed_process_had_already_replaced_is_removed(tmp_path, dead):
    """The new folder is in place; a half-removed old one is never restored."""
    target = filled(tmp_path / "run", "new")
    filled(temporary_name(dead, target, "old"), "old")
    filled(temporary_name(dead, target, "gone"), "half")
    clean_up_after_kill(target)
    assert names(tmp_path) == ["run"]
    assert (target / "file").read_text() == "new"
    remove(target)
    filled(temporary_name(dead, target, "gone"), "half")
    clean_up_after_kill(target)
    assert names(tmp_path) == []


def test_removing_a_link_leaves_what_it_points_to(tmp_path):
    """Only the link is removed."""
    (tmp_path / "link").symlink_to(filled(tmp_path / "mine", "precious"))
    remove(tmp_path / "link")
    assert names(tmp_path) == ["mine"]
    assert names(tmp_path / "mine") == ["file"]


def test_two_writers_of_one_folder_do_not_mix(tmp_path, monkeypatch):
    """Another folder takes the place between two renames: the last one to move wins, complete."""
    target = filled(tmp_path / "run", "old")
    new = filled(files._temporary(target, "new"), "new")
    other = filled(files._temporary(target, "new"), "other")
    rename = Path.rename

    def rename_after_the_other(path, to):
        if path == new and other.exists():
            rename(other, target)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", rename_after_the_other)
    replace_folder(new, target)
    assert names(tmp_path) == ["run"]
    assert (target / "file").read_text() == "new"


def test_a_folder_that_is_abandoned_leaves_no_empty_parents(tmp_path):
    """Parent folders that were created for it are removed with it."""
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a" / "b" / "c"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds a lock."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_held_lock_names_its_holder_and_a_kill_frees_it(tmp_path, holder):
    """The file that the killed process left is no obstacle, and the next holder removes it."""
    with pytest.raises(
        OutputError, match=rf"busy \(process {holder.pid}\); let it finish, or end it"
    ):
        hold_lock(tmp_path / ".lock", "busy").__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert names(tmp_path) == [".lock"]
    with hold_lock(tmp_path / ".lock", "busy"):
        pass
    assert names(tmp_path) == []


def test_a_file_of_the_user_is_not_taken_for_a_lock(tmp_path):
    """It has a lock's name by chance, and is neither emptied nor removed."""
    (tmp_path / ".lock").write_text("precious")
    with (
        pytest.raises(OutputError, match="holds something else"),
        hold_lock(tmp_path / ".lock", "busy"),
    ):
        pass
    assert (tmp_path / ".lock").read_text() == "precious"


def test_a_lock_in_an_impossible_place_is_refused(tmp_path):
    """A file is where a folder is needed: the error is ours, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        hold_lock(tmp_path / "file" / ".lock", "busy"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"


WRITES = re.compile(r"\.write_(text|bytes)\(|rmtree\(|\.unlink\(|open\(\"w|shutil\.(move|copy)")
# These write into a folder that is renamed when it is complete, or that nobody else uses.
ALLOWED_TO_WRITE = {
    "bench/memory.py",  # to a file of the system
    "bulk/plan.py",
    "bulk/shards.py",
    "data/cache.py",
    "data/corpus.py",
    "data/encoder_tokenizer.py",
    "data/run_corpus/streamed.py",
    "data/streaming/sample.py",
    "data/vector_files.py",
    "export/export.py",
    "runs/fitted.py",
    "runs/publishing.py",
    "runtime/files.py",
    "runtime/locks.py",
    "settings/run.py",
    "skill/__init__.py",
    "training/checkpoints.py",
    "training/hub_uploads.py",
    "tuning/trial.py",
}


def test_no_other_module_writes_or_removes_files_directly():
    """A file that is overwritten in place is lost when the disk is full."""
    package = ROOT / "textvae"
    writers = set()
    for file in package.rglob("*.py"):
        if WRITES.search(file.read_text(encoding="utf-8")):
            writers.add(file.relative_to(package).as_posix())
    assert writers <= ALLOWED_TO_WRITE
