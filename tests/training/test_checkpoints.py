"""Checkpoints are complete or absent, they are listed in order, and only the named ones stay."""

from pathlib import Path

import pytest

from textvae.training.checkpoints import (
    STAGING_FOLDER,
    finalize_checkpoint,
    keep_only,
    list_checkpoints,
    read_state,
    remove_partial_checkpoints,
    write_state,
)


class CrashError(Exception):
    """Stands for a crash of the machine."""


def write_staged(run, content="new"):
    """Write the files of a staged checkpoint; return its folder."""
    folder = run / STAGING_FOLDER
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_text(content)
    (folder / "inner" / "tokenizer.json").write_text(content)
    return folder


def write_folders(run, *names):
    """Write folders of these names into a run, each with a file."""
    for name in names:
        (run / name).mkdir()
        (run / name / "model.safetensors").write_text(name)


def test_finalizing_moves_the_whole_folder(tmp_path):
    """No file is left in the staging folder."""
    finalize_checkpoint(write_staged(tmp_path), tmp_path / "checkpoint-7")
    assert {file.name for file in tmp_path.rglob("*")} == {
        "checkpoint-7", "inner", "model.safetensors", "tokenizer.json",
    }  # fmt: skip


def test_finalizing_replaces_an_older_checkpoint_of_the_same_name(tmp_path):
    """The files of the two do not mix."""
    write_folders(tmp_path, "checkpoint-7")
    (tmp_path / "checkpoint-7" / "old").touch()
    finalize_checkpoint(write_staged(tmp_path), tmp_path / "checkpoint-7")
    assert not (tmp_path / "checkpoint-7" / "old").exists()
    assert (tmp_path / "checkpoint-7" / "model.safetensors").read_text() == "new"


@pytest.mark.parametrize(
    "broken", ["textvae.training.checkpoints.flush_to_disk", "pathlib.Path.replace"]
)
def test_a_crash_before_the_name_is_given_leaves_no_checkpoint(tmp_path, monkeypatch, broken):
    """The next run removes the staged files; older checkpoints stay."""

    def crash(*_):
        raise CrashError

    write_folders(tmp_path, "checkpoint-3")
    folder = write_staged(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(broken, crash)
        with pytest.raises(CrashError):
            finalize_checkpoint(folder, tmp_path / "checkpoint-7")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-3"]
    remove_partial_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_every_file_is_on_the_disk_before_the_name_is_given(tmp_path, monkeypatch):
    """After a power cut the renamed files are complete; the new name is flushed as well."""
    events = []
    replace = Path.replace

    def note_replace(self, target):
        events.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(
        "textvae.training.checkpoints.flush_to_disk", lambda path: events.append(path.name)
    )
    monkeypatch.setattr(Path, "replace", note_replace)
    finalize_checkpoint(write_staged(tmp_path), tmp_path / "checkpoint-7")
    renamed = events.index("renamed")
    assert {"model.safetensors", "tokenizer.json"} <= set(events[:renamed])
    assert tmp_path.name in events[renamed:]


def test_checkpoints_come_in_the_order_of_their_numbers(tmp_path):
    """Nine comes before ten; folders with similar names are not checkpoints."""
    write_folders(
        tmp_path,
        "checkpoint-10",
        "checkpoint-9",
        "checkpoint-100",
        "checkpoint-best",
        "checkpoint-9-old",
        STAGING_FOLDER,
    )
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "checkpoint-9",
        "checkpoint-10",
        "checkpoint-100",
    ]


def test_a_run_without_checkpoints_has_none(tmp_path):
    """The same holds for a run that does not exist."""
    assert list_checkpoints(tmp_path) == list_checkpoints(tmp_path / "absent") == []


def test_only_the_named_checkpoints_stay(tmp_path):
    """Other files and folders are not touched."""
    write_folders(tmp_path, "checkpoint-1", "checkpoint-2", "checkpoint-3", "corpus")
    (tmp_path / "settings.yaml").touch()
    keep_only(tmp_path, {"checkpoint-2", "checkpoint-9"})
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "corpus", "settings.yaml"}


def test_removing_partial_checkpoints_of_a_clean_run_changes_nothing(tmp_path):
    """There may be no partial checkpoints, or no run."""
    write_folders(tmp_path, "checkpoint-1")
    remove_partial_checkpoints(tmp_path)
    remove_partial_checkpoints(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_our_state_reads_back_as_it_was_written(tmp_path):
    """Numbers are exact to the last digit."""
    state = {"plan": {"step": 3, "seconds": 0.1 + 0.2, "cooldown": None}, "names": ["é"]}
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
