"""Checkpoints are whole or not there, in order, and only those that are wanted stay."""

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
    """The machine stops here."""


def staged(run, content="new"):
    folder = run / STAGING_FOLDER
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_text(content)
    (folder / "inner" / "tokenizer.json").write_text(content)
    return folder


def fill(run, *names):
    for name in names:
        (run / name).mkdir()
        (run / name / "model.safetensors").write_text(name)


def test_publishing_moves_the_whole_folder(tmp_path):
    """Nothing stays behind."""
    finalize_checkpoint(staged(tmp_path), tmp_path / "checkpoint-7")
    assert {file.name for file in tmp_path.rglob("*")} == {
        "checkpoint-7", "inner", "model.safetensors", "tokenizer.json",
    }  # fmt: skip


def test_publishing_replaces_an_older_one_of_the_same_name(tmp_path):
    """Its files do not mix with the new ones."""
    fill(tmp_path, "checkpoint-7")
    (tmp_path / "checkpoint-7" / "old").touch()
    finalize_checkpoint(staged(tmp_path), tmp_path / "checkpoint-7")
    assert not (tmp_path / "checkpoint-7" / "old").exists()
    assert (tmp_path / "checkpoint-7" / "model.safetensors").read_text() == "new"


@pytest.mark.parametrize(
    "broken", ["textvae.training.checkpoints.flush_to_disk", "pathlib.Path.replace"]
)
def test_a_crash_before_the_name_is_given_leaves_no_checkpoint(tmp_path, monkeypatch, broken):
    """What stands there is staged, and swept away by the next run; older checkpoints stay."""

    def crash(*_):
        raise CrashError

    fill(tmp_path, "checkpoint-3")
    folder = staged(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(broken, crash)
        with pytest.raises(CrashError):
            finalize_checkpoint(folder, tmp_path / "checkpoint-7")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-3"]
    remove_partial_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_every_file_is_on_the_disk_before_the_name_is_given(tmp_path, monkeypatch):
    """A power cut after the rename finds whole files, and the name itself is flushed after it."""
    events = []
    replace = Path.replace

    def note_replace(self, target):
        events.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(
        "textvae.training.checkpoints.flush_to_disk", lambda path: events.append(path.name)
    )
    monkeypatch.setattr(Path, "replace", note_replace)
    finalize_checkpoint(staged(tmp_path), tmp_path / "checkpoint-7")
    place = events.index("renamed")
    assert {"model.safetensors", "tokenizer.json"} <= set(events[:place])
    assert tmp_path.name in events[place:]


def test_checkpoints_come_in_the_order_of_their_numbers(tmp_path):
    """Nine before ten; what is only named like one is none."""
    fill(
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
    """Nor has one that does not exist."""
    assert list_checkpoints(tmp_path) == list_checkpoints(tmp_path / "absent") == []


def test_only_the_wanted_checkpoints_stay(tmp_path):
    """What is no checkpoint is not touched."""
    fill(tmp_path, "checkpoint-1", "checkpoint-2", "checkpoint-3", "corpus")
    (tmp_path / "settings.yaml").touch()
    keep_only(tmp_path, {"checkpoint-2", "checkpoint-9"})
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "corpus", "settings.yaml"}


def test_sweeping_a_clean_run_changes_nothing(tmp_path):
    """There may be nothing to sweep, or no run."""
    fill(tmp_path, "checkpoint-1")
    remove_partial_checkpoints(tmp_path)
    remove_partial_checkpoints(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_our_state_reads_back_as_it_was_written(tmp_path):
    """Numbers to the last digit."""
    state = {"plan": {"step": 3, "seconds": 0.1 + 0.2, "cooldown": None}, "names": ["é"]}
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
