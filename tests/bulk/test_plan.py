"""The plan in a folder of shards: a job may continue only with the same request."""

import errno
import json
import re
import shutil
from dataclasses import asdict
from typing import Any

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from tests.bulk.shards import rows_in, work, write_files
from tests.tiny_run import train_tiny
from textvae.bulk.plan import BulkPlan, read_plan
from textvae.errors import CheckpointError, OutputError


@pytest.fixture
def corpus(tmp_path):
    return write_files(tmp_path / "corpus")


def check_refused(message, *arguments, **options):
    """Expect an OutputError with this message from a bulk job."""
    with pytest.raises(OutputError, match=re.escape(message)):
        work(*arguments, **options)


def test_another_job_in_the_same_folder_is_refused(tiny_run, corpus, tmp_path):
    """The message says what differs (verb, settings or shards) and how to fix it."""
    out = tmp_path / "out"
    work("score", tiny_run, out, corpus, samples=2)
    before = rows_in(out)
    message = "was started with verb = 'score', not 'encode'. Continue it as it was started"
    check_refused(message, "encode", tiny_run, out, corpus)
    message = "was started with samples = 2, not 3."
    check_refused(message, "score", tiny_run, out, corpus, samples=3)
    message = "shard_rows = 7, not 8"
    check_refused(message, "score", tiny_run, out, corpus, samples=2, shard_rows=8)
    assert rows_in(out) == before


def test_a_job_with_options_that_are_pairs_continues(tiny_run, tmp_path):
    """The plan in the folder is JSON, which has no tuples."""
    out = tmp_path / "out"
    options = {"exponential_decay_length_penalty": [3, 1.2], "n": 4, "shard_rows": 2}
    work("generate", tiny_run, out, None, **options)
    before = rows_in(out)
    work("generate", tiny_run, out, None, **options)
    assert rows_in(out) == before


def test_shards_of_an_earlier_version_are_refused(tiny_run, corpus, tmp_path):
    """Its rows were counted from 0, so the folder would hold a mixture."""
    out = tmp_path / "out"
    work("encode", tiny_run, out, corpus)
    plan = json.loads((out / "_plan.json").read_text())
    del plan["format"]
    (out / "_plan.json").write_text(json.dumps(plan))
    check_refused("was started with another version of textvae", "encode", tiny_run, out, corpus)


def test_another_model_is_refused(tiny_run, corpus, tmp_path):
    """A model is recognized by its weights, not by its folder."""
    out = tmp_path / "out"
    model = tmp_path / "model"
    shutil.copytree(tiny_run, model)
    work("encode", model, out, corpus)
    shutil.rmtree(model)
    train_tiny(model, training={"seed": 9, "steps": 2, "warmup_steps": 1})
    check_refused("was started with another model", "encode", model, out, corpus)
    shutil.rmtree(model)
    shutil.copytree(tiny_run, tmp_path / "moved")
    assert len(work("encode", tmp_path / "moved", out, corpus)) == 60


def test_changed_files_are_refused_and_moved_ones_are_not(tiny_run, corpus, tmp_path):
    """Files are recognized by their contents and their names in the folder."""
    out = tmp_path / "out"
    before = work("encode", tiny_run, out, corpus)
    moved = corpus.rename(tmp_path / "moved")
    assert work("encode", tiny_run, out, moved) == before
    text = (moved / "a.txt").read_text()
    (moved / "a.txt").write_text(text.replace("man", "cat"))
    check_refused("was started with other files (a.txt)", "encode", tiny_run, out, moved)
    (moved / "a.txt").write_text(text)
    (moved / "new.txt").write_text("a man\n")
    check_refused("was started with other files (new.txt)", "encode", tiny_run, out, moved)


def test_a_folder_with_other_files_is_refused(tiny_run, corpus, tmp_path):
    """The corpus folder itself is refused too, and a file where the folder should be."""
    (tmp_path / "file").write_text("mine")
    check_refused("contains other files", "encode", tiny_run, corpus, corpus)
    check_refused("is a file; expected a folder", "encode", tiny_run, tmp_path / "file", corpus)
    check_refused("contains other files", "generate", tiny_run, corpus, n=3)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_being_written_is_refused(tiny_run, corpus, tmp_path):
    """Two jobs at once would do all the work twice."""
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"):
        check_refused("another process is writing there", "encode", tiny_run, out, corpus)
    assert len(work("encode", tiny_run, out, corpus)) == 60


def test_a_job_continues_after_a_full_disk(tiny_run, corpus, tmp_path, monkeypatch):
    """Only complete shards remain; the message names the folder and how to fix it."""
    out = tmp_path / "out"
    write = pq.write_table

    def fill_disk(table, file):
        file.write_bytes(b"half")
        if "part-00003" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, file)

    monkeypatch.setattr(pq, "write_table", fill_disk)
    message = f"{out}: the disk is full. Make room, then run the same command again"
    check_refused(message, "encode", tiny_run, out, corpus)
    remaining = sorted(file.name for file in out.iterdir() if file.name != ".lock")
    assert remaining == ["_plan.json", *(f"part-0000{number}.parquet" for number in range(3))]
    monkeypatch.undo()
    unbroken = work("encode", tiny_run, tmp_path / "unbroken", corpus)
    first_shards = rows_in(out)
    assert first_shards == unbroken[: len(first_shards)]
    assert work("encode", tiny_run, out, corpus) == unbroken


def test_a_folder_without_a_model_is_refused(corpus, tmp_path):
    """The error is raised before anything is read or written."""
    with pytest.raises(CheckpointError, match="there is no such folder"):
        work("encode", tmp_path / "gone", tmp_path / "out", corpus)
    assert not (tmp_path / "out").exists()


WRONG_FILES: list[Any] = ["abc", 3, None, ["a"], [{}], [{"name": "a"}]]
WRONG_PLANS: list[Any] = [
    [],
    None,
    3,
    "x",
    {},
    {"a": 1},
    *({"files": files} for files in WRONG_FILES),
    {"files": [{"name": "a", "sha256": "b", "rows": "c"}]},
    {"files": [{"name": "a", "sha256": "b", "rows": True}]},
    {"settings": []},
    {"shard_rows": "many"},
    {"quoting": "perhaps"},
    {"count": 1.5},
]


@pytest.mark.parametrize("changes", WRONG_PLANS, ids=str)
def test_a_plan_with_other_entries_is_refused(tmp_path, changes):
    """The message names the file; nothing is written."""
    whole = asdict(BulkPlan("encode", "m", {}, "text", [], 5))
    is_change = isinstance(changes, dict) and changes.keys() <= whole.keys() and changes
    record = {**whole, **changes} if is_change else changes
    (tmp_path / "_plan.json").write_text(json.dumps(record))
    with pytest.raises(OutputError, match=r"_plan\.json: is not a valid plan"):
        read_plan(tmp_path)


def test_a_plan_that_is_nested_too_deep_is_refused(tmp_path):
    """Python's own reader raises an error of another kind."""
    (tmp_path / "_plan.json").write_text("[" * 100_000)
    with pytest.raises(OutputError, match="nested too deep"):
        read_plan(tmp_path)
