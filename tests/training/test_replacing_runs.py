"""The folder of a run: no foreign file is lost, only runs are replaced, one process trains."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml

import textvae
from tests.tiny_run import SENTENCES, SETTINGS, train_tiny, write_corpus
from textvae.cli.main import main
from textvae.errors import CheckpointError, OutputError
from textvae.runs.run import Run, choose_lock_file, find_foreign_entries, is_run
from textvae.runtime import files
from textvae.runtime.locks import hold_lock
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.settings.run import Settings
from textvae.training.checkpoints import (
    STAGING_FOLDER,
    STATE_FILE,
    list_checkpoints,
    remove_partial_checkpoints,
)
from textvae.training.staging import create_run_folder, tidy_up_after_a_kill


def list_names(folder):
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def make_run(folder, content="old"):
    """Make a folder that looks like a run interrupted before its first checkpoint."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "corpus" / "counts.json").write_text(json.dumps(content))
    (folder / "init").mkdir()
    Settings().save(folder / "settings.yaml")
    return folder


def read_content(folder):
    """Return the content that `make_run` has written."""
    return json.loads((folder / "corpus" / "counts.json").read_text())


def create_run(folder, overwrite=True, before=lambda: None):
    """Create a run fast, and call `before` while it is being prepared."""

    def fill(run):
        before()
        make_run(run.folder, "new")

    create_run_folder(Run(folder), fill, overwrite=overwrite, processes=SINGLE_PROCESS)


def test_a_finished_run_holds_nothing_foreign(tiny_run, tmp_path):
    """--overwrite would refuse it otherwise; temporary files and a report belong to a run."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for name in ("report.html", "model_summary.json", "measures.json", ".README.md"):
        (run / name).touch()
    files._temporary(run / "report.html", "new").touch()
    inner = (
        "fitted/index/default/vectors.faiss",
        "logs/events.out.tfevents.1.host.2.0",
        ".saving/x/optimizer.pt",
    )
    for name in (
        *inner,
        "checkpoint-12/rng_state_1.pth",
        "checkpoint-12/model.safetensors",
        "init/tokenizer.json",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()
    assert is_run(run)
    assert find_foreign_entries(run) == []


@pytest.mark.parametrize(
    "settings", ["django: true\n", "[1, 2]", "a: b: c", yaml.safe_dump(SETTINGS), "\x00\xff"]
)
def test_settings_alone_do_not_make_a_run(tmp_path, settings):
    """Other programs have a settings.yaml, too; their folders stay unchanged."""
    (tmp_path / "project" / "src").mkdir(parents=True)
    (tmp_path / "project" / "settings.yaml").write_text(settings)
    (tmp_path / "project" / "src" / "thesis.tex").write_text("years")
    with pytest.raises(
        OutputError,
        match=r"something that does not belong to a run: settings.yaml, src.*replaces runs only",
    ):
        create_run(tmp_path / "project")
    assert (tmp_path / "project" / "src" / "thesis.tex").read_text() == "years"


PRECIOUS = [
    "thesis.tex",
    "src/main.py",
    "corpus/mine.txt",
    "checkpoint-best/x",
    ".git/HEAD",
    "fitted/notes/a/x.tex",
]
PRECIOUS += [
    "logs/notes.txt",
    "init/mine.py",
    "checkpoint-3/mine.txt",
    "README.md/x",
    "fitted/prior/default/mine.csv",
]


@pytest.mark.parametrize("name", PRECIOUS)
def test_a_run_with_a_file_of_the_users_is_not_replaced(tmp_path, name):
    """The message names the file, and the file stays."""
    file = make_run(tmp_path / "run") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("precious")
    with pytest.raises(OutputError, match=f"something that does not belong to a run: {name}"):
        create_run(tmp_path / "run")
    assert file.read_text() == "precious"


def test_an_interrupted_run_is_replaced(tmp_path):
    """It has no weights yet. Nothing is left next to the new run; a foreign folder stays."""
    (tmp_path / ".run.preparing").mkdir()
    create_run(make_run(tmp_path / "run"))
    assert read_content(tmp_path / "run") == "new"
    assert list_names(tmp_path) == [".run.preparing", "run"]


def test_files_that_appear_during_preparation_are_not_lost(tmp_path):
    """They may be in the run that is to be replaced, or be another run in its place."""
    run = make_run(tmp_path / "run")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        create_run(run, before=lambda: (run / "notes.txt").write_text("precious"))
    assert read_content(run) == "old"
    with pytest.raises(OutputError, match="holds a run already"):
        create_run(tmp_path / "other", overwrite=False, before=lambda: make_run(tmp_path / "other"))
    assert read_content(tmp_path / "other") == "old"
    assert list_names(tmp_path) == ["other", "run"]


@pytest.mark.parametrize("kind", [".new.", "/run'"])
def test_a_rename_that_fails_leaves_the_old_run(tmp_path, monkeypatch, kind):
    """It is the rename of the new run, or that of the old one."""
    run = make_run(tmp_path / "run")
    rename = Path.rename

    def fail(path, target):
        if kind in repr(path):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"the disk is full.*existing files are unchanged"):
        create_run(run)
    assert (list_names(tmp_path), read_content(run)) == (["run"], "old")


@pytest.mark.parametrize("call", range(1, 5))
def test_after_a_kill_at_any_rename_the_next_start_restores_a_complete_run(
    tmp_path, monkeypatch, call
):
    """It is the old run or the new one, and nothing is next to it."""
    run = make_run(tmp_path / "run")
    rename = Path.rename
    calls = []

    def die(path, target):
        calls.append(path)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Path, "rename", die)
        create_run(run)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == (call <= 3)
    tidy_up_after_a_kill(run)
    assert list_names(tmp_path) == ["run"]
    assert list_names(run) == ["corpus", "init", "settings.yaml"]
    assert read_content(run) == ("old" if call <= 2 else "new")


def test_a_run_moved_aside_by_a_killed_process_is_restored(tmp_path):
    """The process may have run on another machine; a new run that was not in place is removed."""
    for kind in ("old", "new"):
        make_run(tmp_path / f".run.{kind}.textvae-00000000-1-00000000", kind)
    tidy_up_after_a_kill(tmp_path / "run")
    assert (list_names(tmp_path), read_content(tmp_path / "run")) == (["run"], "old")


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path, monkeypatch):
    """A shell may be in it (`--output .`); a run cannot be replaced from inside."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = folder.stat().st_ino
    create_run(Path())
    assert folder.stat().st_ino == before
    assert (list_names(folder), list_names(tmp_path)) == (
        ["corpus", "init", "settings.yaml"],
        ["here"],
    )
    with pytest.raises(OutputError, match="the command runs inside it"):
        create_run(Path("."))
    assert read_content(folder) == "new"


def test_an_empty_folder_that_was_half_filled_is_filled(tmp_path):
    """A process was killed between two moves; the next start moves the rest, the settings last."""
    staging = make_run(tmp_path / "run" / ".run.new.textvae-00000000-1-00000000")
    (staging / "corpus").rename(tmp_path / "run" / "corpus")
    tidy_up_after_a_kill(tmp_path / "run")
    assert list_names(tmp_path / "run") == ["corpus", "init", "settings.yaml"]


def test_the_output_may_be_the_working_directory(tmp_path, monkeypatch):
    """The run is trained to its end there."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    train_tiny(Path(""), training={"steps": 1})
    assert (tmp_path / "here" / "model.safetensors").is_file()
    assert list_names(tmp_path) == ["here"]


@pytest.mark.parametrize("arguments", [[], ["--overwrite"], ["--resume"]])
def test_a_second_training_of_a_run_is_refused(tmp_path, capsys, arguments):
    """The exit code is 2, the message names the process with the lock, and nothing changes."""
    run, corpus = make_run(tmp_path / "run"), str(write_corpus(tmp_path))
    with hold_lock(choose_lock_file(run), "busy"):
        before = list_names(tmp_path)
        named = [] if "--resume" in arguments else [corpus]
        assert main(["train", *named, "--output", str(run), *arguments]) == 2
        assert list_names(tmp_path) == before
    expected = f"{run}: another process is training there (process {os.getpid()}); let it finish, or end it."
    assert expected in capsys.readouterr().err
    assert read_content(run) == "old"


def test_all_paths_of_a_run_have_the_same_lock(tmp_path, monkeypatch):
    """Relative paths, links and dots lead to the same file, next to the run."""
    run = make_run(tmp_path / "run")
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(run)
    paths = (run, Path(), tmp_path / "link", run / "corpus" / "..")
    assert {choose_lock_file(path) for path in paths} == {tmp_path.resolve() / ".run.textvae.lock"}


def test_resuming_a_missing_run_makes_no_folders(tmp_path):
    """Not even a folder for the lock is made."""
    with pytest.raises(CheckpointError, match="no run to resume"):
        textvae.train(output=tmp_path / "a" / "b", resume=True, device="cpu")
    assert list_names(tmp_path) == []


def test_the_staging_folder_of_an_earlier_release_is_named_and_stays(tmp_path, capsys):
    """It takes space, but it may be the user's own folder."""
    (tmp_path / ".run.preparing" / "corpus").mkdir(parents=True)
    create_run(tmp_path / "run")
    assert (
        ".run.preparing: an earlier release of textvae was killed there" in capsys.readouterr().err
    )
    assert list_names(tmp_path) == [".run.preparing", "run"]


@pytest.mark.parametrize("settings", ["training: {seed: 3}\n", ""])
def test_resuming_a_folder_that_is_no_run_removes_nothing(tmp_path, settings):
    """Other programs write checkpoint-N and model.safetensors, too."""
    (tmp_path / "settings.yaml").write_text(settings)
    (tmp_path / "model.safetensors").write_text("weights")
    for name in ("checkpoint-500", "init", STAGING_FOLDER):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious.txt").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match="is not a run of textvae"):
        textvae.train(output=tmp_path, resume=True, device="cpu")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_the_place_of_the_staging_folder_is_not_followed(tmp_path):
    """The files that it points to are the user's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("precious")
    run = make_run(tmp_path / "run")
    (run / STAGING_FOLDER).symlink_to(tmp_path / "mine")
    remove_partial_checkpoints(run)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "precious"
    assert not (run / STAGING_FOLDER).is_symlink()


def test_the_next_resume_removes_what_only_training_needed(tiny_run, tmp_path):
    """A process was killed just after it had moved the weights to the run folder."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    expected = list_names(run)
    for name in ("init", "checkpoint-9", STAGING_FOLDER):
        (run / name).mkdir()
    (run / "checkpoint-9" / STATE_FILE).write_text("{}")
    textvae.train(output=run, resume=True, device="cpu")
    assert list_names(run) == expected


def test_resuming_a_finished_run_deletes_nothing_else(tiny_run, tmp_path):
    """A checkpoint that the user has put into a tidy run stays."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "checkpoint-9").mkdir()
    textvae.train(output=run, resume=True, device="cpu")
    assert [path.name for path in list_checkpoints(run)] == ["checkpoint-9"]


def test_a_refused_training_leaves_the_run_that_it_should_replace(tiny_run, tmp_path):
    """No lock is left."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    with pytest.raises(textvae.TextVAEError):
        textvae.train(SENTENCES[:2], output=run, overwrite=True, device="cpu")
    assert (list_names(run), list_names(tmp_path)) == (list_names(tiny_run), ["run"])
