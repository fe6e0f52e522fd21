"""The plan: what a folder was begun with it must be gone on with."""

import errno
import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from tests.bulk.shards import rows_in, work, write_files
from tests.tiny_run import train_tiny
from textvae.errors import CheckpointError, OutputError


@pytest.fixture
def corpus(tmp_path):
    return write_files(tmp_path / "corpus")


def refused(words, *arguments, **more):
    with pytest.raises(OutputError, match=re.escape(words)):
        work(*arguments, **more)


def test_other_work_in_the_same_folder_is_refused(tiny_run, corpus, tmp_path):
    """Another verb, other settings, other shards; the message says what differs and the mend."""
    out = tmp_path / "out"
    work("score", tiny_run, out, corpus, samples=2)
    before = rows_in(out)
    refused(
        "was begun with verb = 'score', not 'encode'. Go on as it was begun",
        "encode",
        tiny_run,
        out,
        corpus,
    )
    refused(
        "settings = {'samples': 2, 'seed': 0}, not {'samples': 3",
        "score",
        tiny_run,
        out,
        corpus,
        samples=3,
    )
    refused("shard_rows = 7, not 8", "score", tiny_run, out, corpus, samples=2, shard_rows=8)
    assert rows_in(out) == before


def test_shards_of_an_earlier_version_are_refused(tiny_run, corpus, tmp_path):
    """Their rows were counted from 0: the folder would hold a mixture."""
    out = tmp_path / "out"
    work("encode", tiny_run, out, corpus)
    plan = json.loads((out / "_plan.json").read_text())
    (out / "_plan.json").write_text(
        json.dumps({name: value for name, value in plan.items() if name != "format"})
    )
    refused("was begun with another version of textvae", "encode", tiny_run, out, corpus)


def test_another_model_is_refused(tiny_run, corpus, tmp_path):
    """By its weights, not by its name."""
    out, model = tmp_path / "out", tmp_path / "model"
    shutil.copytree(tiny_run, model)
    work("encode", model, out, corpus)
    shutil.rmtree(model)
    train_tiny(model, training={"seed": 9, "steps": 2, "warmup_steps": 1})
    refused("was begun with another model", "encode", model, out, corpus)
    shutil.rmtree(model)
    shutil.copytree(tiny_run, tmp_path / "moved")
    assert len(work("encode", tmp_path / "moved", out, corpus)) == 60


def test_changed_files_are_refused_and_moved_ones_are_not(tiny_run, corpus, tmp_path):
    """By their contents and their names in the folder, wherever that is."""
    out = tmp_path / "out"
    before = work("encode", tiny_run, out, corpus)
    moved = corpus.rename(tmp_path / "moved")
    assert work("encode", tiny_run, out, moved) == before
    text = (moved / "a.txt").read_text()
    (moved / "a.txt").write_text(text.replace("man", "cat"))
    refused("was begun with other files (a.txt)", "encode", tiny_run, out, moved)
    (moved / "a.txt").write_text(text)
    (moved / "new.txt").write_text("a man\n")
    refused("was begun with other files (new.txt)", "encode", tiny_run, out, moved)


def test_a_folder_with_something_else_is_refused(tiny_run, corpus, tmp_path):
    """So is a file, and the corpus itself."""
    (tmp_path / "file").write_text("mine")
    refused("holds something else", "encode", tiny_run, corpus, corpus)
    refused("is a file; wanted is a folder", "encode", tiny_run, tmp_path / "file", corpus)
    refused("holds something else", "generate", tiny_run, corpus, count=3)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_being_written_is_refused(tiny_run, corpus, tmp_path):
    """Two runs at once would do everything twice."""
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"):
        refused("another process is writing there", "encode", tiny_run, out, corpus)
    assert len(work("encode", tiny_run, out, corpus)) == 60


def test_a_full_disk_leaves_whole_shards_and_is_gone_on_from(
    tiny_run, corpus, tmp_path, monkeypatch
):
    """The message names the folder and the mend; then the same command does the rest."""
    out, write = tmp_path / "out", pq.write_table

    def fill(table, file):
        file.write_bytes(b"half")
        if "part-00003" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, file)

    monkeypatch.setattr(pq, "write_table", fill)
    refused(
        f"{out}: the disk is full. Make room, then give the same command again",
        "encode",
        tiny_run,
        out,
        corpus,
    )
    kept = sorted(file.name for file in out.iterdir() if file.name != ".lock")
    assert kept == ["_plan.json", *(f"part-0000{number}.parquet" for number in range(3))]
    monkeypatch.undo()
    assert rows_in(out) == work("encode", tiny_run, tmp_path / "whole", corpus)[: len(rows_in(out))]
    assert work("encode", tiny_run, out, corpus) == rows_in(tmp_path / "whole")


def test_a_model_that_is_none_is_refused(corpus, tmp_path):
    """Before anything is read or written."""
    with pytest.raises(CheckpointError, match="there is no such folder"):
        work("encode", tmp_path / "gone", tmp_path / "out", corpus)
    assert not (tmp_path / "out").exists()
