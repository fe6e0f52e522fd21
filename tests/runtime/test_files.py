"""Whole files, whole folders and locks: nothing is lost, mixed, or removed that is not ours."""

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
HOLD = "import sys, time; from pathlib import Path; from textvae.runtime.locks import locked\n"
HOLD += "with locked(Path(sys.argv[1]), 'busy'): print('held', flush=True); time.sleep(60)"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def filled(folder, content):
    folder.mkdir()
    (folder / "file").write_text(content)
    return folder


def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def made_by(process, target, kind="new"):
    """Return the temporary name that a process of this machine would use."""
    name = files._temporary(target, kind).name
    return target.with_name(re.sub(r"-\d+-", f"-{process}-", name))


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    """The error names the file as the user knows it, and no temporary one stays."""
    file = tmp_path / "report.html"
    file.write_text("old")
    monkeypatch.setattr(files, "flush_to_disk", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_text(file, "new")
    assert caught.value.filename == str(file)
    assert (file.read_text(), names(tmp_path)) == ("old", ["report.html"])


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    """The last one to finish has its file there, whole."""
    file = tmp_path / "z.npy"
    with write_atomically(file) as first:
        with write_atomically(file) as second:
            second.write_text("second")
            first.write_text("the first")
        assert file.read_text() == "second"
    assert (file.read_text(), names(tmp_path)) == ("the first", ["z.npy"])


def test_a_link_to_a_file_stays_a_link(tmp_path):
    """What it points to is replaced, and keeps its permissions."""
    target, link = tmp_path / "target", tmp_path / "link"
    write_text(target, "old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_only_what_dead_processes_left_is_swept(tmp_path, dead):
    """A living process's file stays, and so does a user's that has a similar name."""
    target = tmp_path / "z.npy"
    left = made_by(dead, target)
    kept = [
        made_by(os.getpid(), target),
        made_by(dead, tmp_path / "other.npy"),
        tmp_path / ".z.npy.new.textvae",
    ]
    for path in (left, *kept):
        path.write_text("content")
    write_text(target, "new")
    assert names(tmp_path) == sorted(path.name for path in [target, *kept])


def test_temporary_names_are_told_from_others(tmp_path):
    """Names of any length and with any signs are recognised, and fit into a file system."""
    for name in ("run", "a b.npy", ".hidden", "é" * 120, "[*]\n"):
        temporary = files._temporary(tmp_path / name, "new").name
        assert is_temporary(temporary)
        assert len(os.fsencode(temporary)) <= 255
    assert not any(
        map(is_temporary, (".run.preparing", ".run.old", ".z.npy", "run", ".run.new.textvae-1-2-3"))
    )


def test_long_names_that_begin_alike_are_told_apart(tmp_path):
    """What is being written for one is not swept with the other."""
    first, second = (tmp_path / ("long" * 60 + end) for end in "ab")
    temporary = files._temporary(first, "new")
    temporary.touch()
    clean_up_after_kill(second, is_locked=True)
    assert names(tmp_path) == [temporary.name]
    clean_up_after_kill(first, is_locked=True)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_is_there_again(tmp_path, monkeypatch):
    """The second rename fails: the old folder has its name back."""
    target, rename = filled(tmp_path / "run", "old"), Path.rename

    def break_off(path, to):
        return fail() if ".new." in path.name else rename(path, to)

    new = filled(files._temporary(target, "new"), "new")
    monkeypatch.setattr(Path, "rename", break_off)
    with pytest.raises(OSError, match="No space left"):
        replace_folder(new, target)
    remove(new)
    assert (names(tmp_path), (target / "file").read_text()) == (["run"], "old")


def test_a_folder_is_replaced_whole(tmp_path):
    """Nothing of the old one stays in it or next to it."""
    target = filled(tmp_path / "run", "old")
    (target / "more").mkdir()
    with new_folder(target) as new:
        (new / "file").write_text("new")
        replace_folder(new, target)
    assert (names(tmp_path), names(target), (target / "file").read_text()) == (
        ["run"],
        ["file"],
        "new",
    )


def test_what_a_killed_process_moved_aside_is_restored(tmp_path, dead):
    """Where the new folder did not come about; its beginnings are removed."""
    target = tmp_path / "run"
    filled(made_by(dead, target, "old"), "old")
    filled(made_by(dead, target), "half")
    clean_up_after_kill(target)
    assert (names(tmp_path), (target / "file").read_text()) == (["run"], "old")


def test_what_a_killed_process_had_replaced_is_removed(tmp_path, dead):
    """Where the new folder has its name; a half-removed one never comes back."""
    target = filled(tmp_path / "run", "new")
    filled(made_by(dead, target, "old"), "old")
    filled(made_by(dead, target, "gone"), "half")
    clean_up_after_kill(target)
    assert (names(tmp_path), (target / "file").read_text()) == (["run"], "new")
    remove(target)
    filled(made_by(dead, target, "gone"), "half")
    clean_up_after_kill(target)
    assert names(tmp_path) == []


def test_removing_a_link_leaves_what_it_points_to(tmp_path):
    """Only the link goes."""
    (tmp_path / "link").symlink_to(filled(tmp_path / "mine", "precious"))
    remove(tmp_path / "link")
    assert (names(tmp_path), names(tmp_path / "mine")) == (["mine"], ["file"])


def test_two_writers_of_one_folder_do_not_mix(tmp_path, monkeypatch):
    """One finds the other's in its place at the last moment: the last one to move has its own there, whole."""
    target, rename = filled(tmp_path / "run", "old"), Path.rename
    new, other = (filled(files._temporary(target, "new"), content) for content in ("new", "other"))

    def come_between(path, to):
        if path == new and other.exists():
            rename(other, target)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", come_between)
    replace_folder(new, target)
    assert (names(tmp_path), (target / "file").read_text()) == (["run"], "new")


def test_a_folder_given_up_leaves_no_empty_parents(tmp_path):
    """Those that were there before stay."""
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a" / "b" / "c"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock."""
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


def test_a_file_of_the_users_is_no_lock(tmp_path):
    """Its name is that of a lock by chance: it is neither emptied nor removed."""
    (tmp_path / ".lock").write_text("precious")
    with (
        pytest.raises(OutputError, match="holds something else"),
        hold_lock(tmp_path / ".lock", "busy"),
    ):
        pass
    assert (tmp_path / ".lock").read_text() == "precious"


def test_a_lock_in_a_place_that_cannot_be_is_refused(tmp_path):
    """A file where a folder is needed: our own error, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        hold_lock(tmp_path / "file" / ".lock", "busy"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"


WRITES = re.compile(r"\.write_(text|bytes)\(|rmtree\(|\.unlink\(|open\(\"w|shutil\.(move|copy)")
IN_FOLDERS_OF_THEIR_OWN = {  # whose contents get their names later, or that belong to nobody else
    *(
        "settings/run.py",
        "data/corpus.py",
        "data/streaming/sample.py",
        "data/cache.py",
        "data/vector_files.py",
    ),
    *("training/preparation.py", "training/checkpoints.py", "runs/fitted.py", "runs/publishing.py"),
    *("bulk/plan.py", "bulk/shards.py", "runtime/files.py", "runtime/locks.py"),
}


def test_no_other_module_writes_or_removes_by_itself():
    """A file that is written in place is lost when the disk is full."""
    package = ROOT / "textvae"
    found = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if WRITES.search(file.read_text(encoding="utf-8"))
    }
    assert found <= IN_FOLDERS_OF_THEIR_OWN
