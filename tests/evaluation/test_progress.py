"""Reading a run while it trains: its state, its curves, its tables and the doctor's words."""

import json
import math
import os
import shutil

import pytest

import textvae
from textvae.errors import CheckpointError
from textvae.evaluation.progress import Progress
from textvae.runs.run import PROGRESS_FILE, SAMPLES_FILE, choose_lock_file
from textvae.runtime.locks import hold_lock

EVALUATION = {
    "step": 6,
    "epoch": 0.5,
    "seconds": 9.5,
    "fraction": 0.25,
    "eval_selection": 43.0,
    "eval_elbo": -43.0,
    "eval_kl": 0.125,
    "eval_latent_dim": 4.0,
    "eval_active_units": 0.0,
    "eval_active_units_strict": 0.0,
    "eval_mi_full": 0.5,
    "eval_mi_full_cap": 2.25,
    "eval_shuffled_latent_increase": 0.0,
}
LOG = [
    {"step": 3, "epoch": 0.25, "seconds": 5.5, "fraction": 0.125, "loss": 44.5, "kl": 0.25},
    EVALUATION,
]
TABLE = {
    "step": 6,
    "seed": 0,
    "temperature": 0.85,
    "samples": ["a man rides."],
    "reconstructions": [{"input": "the dog sees.", "output": "the dog."}],
}


def lines(*entries: object) -> str:
    """Return entries as lines of JSON."""
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.fixture
def unfinished(tiny_run, tmp_path):
    """Return a run that was interrupted after its first evaluation, with files of known content."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "model.safetensors").unlink()
    (run / "training.json").unlink()
    (run / PROGRESS_FILE).write_text(lines(*LOG))
    (run / SAMPLES_FILE).write_text(lines(TABLE))
    return run


def test_a_run_that_trains_shows_its_curves_and_its_tables(unfinished):
    """The step, the time and the share of the run are no curves; the lock says that it trains."""
    with hold_lock(choose_lock_file(unfinished), "busy"):
        progress = textvae.read_progress(unfinished)
    assert (progress.state, progress.step) == ("training", 6)
    assert (progress.seconds, progress.fraction) == (9.5, 0.25)
    assert progress.curves["loss"] == [(3, 44.5)]
    assert progress.curves["eval_kl"] == [(6, 0.125)]
    assert not progress.curves.keys() & {"step", "epoch", "seconds", "fraction"}
    [table] = progress.samples
    assert (table.step, table.samples) == (6, ["a man rides."])
    assert table.reconstructions[0].output == "the dog."


def test_the_verdict_is_that_of_the_last_evaluation(unfinished):
    """It has the doctor's findings, in which counts are whole numbers."""
    verdict = textvae.read_progress(unfinished).verdict
    assert verdict is not None
    assert (verdict.step, verdict.text) == (6, "collapsed")
    assert "no unit is active" in verdict.findings
    assert any("0 of 4 units" in finding for finding in verdict.findings)


def test_a_run_without_a_process_is_interrupted(unfinished):
    """A lock file that a killed process left does not count."""
    assert textvae.read_progress(unfinished).state == "interrupted"
    lock = choose_lock_file(unfinished)
    with hold_lock(lock, "busy"):
        held = json.loads(lock.read_text())
    # No process has a number above the system's limit.
    lock.write_text(json.dumps({**held, "process": 2**30}))
    assert textvae.read_progress(unfinished).state == "interrupted"
    lock.write_text(json.dumps({**held, "process": os.getpid()}))
    assert textvae.read_progress(unfinished).state == "training"


@pytest.mark.parametrize(
    "end", ['{"step": 9, "lo', "{", "[]", "null", '{"step": "9"}\n', '{"loss": 1}\n', "\0\udcff"]
)
def test_a_line_that_is_not_whole_is_left_out(unfinished, end):
    """The process may be writing it at this moment."""
    before = textvae.read_progress(unfinished)
    for name in (PROGRESS_FILE, SAMPLES_FILE):
        with (unfinished / name).open("ab") as file:
            file.write(end.encode(errors="surrogateescape"))
    assert textvae.read_progress(unfinished) == before


def test_values_that_are_not_finite_are_left_out_of_the_curves(unfinished):
    """The selection of a model that cannot be the best is infinite."""
    entry = {**EVALUATION, "step": 9, "eval_selection": math.inf, "loss": math.nan}
    (unfinished / PROGRESS_FILE).write_text(lines(*LOG, entry))
    progress = textvae.read_progress(unfinished)
    assert progress.curves["eval_selection"] == [(6, 43.0)]
    assert progress.curves["loss"] == [(3, 44.5)]
    assert progress.step == 9


def test_a_run_shows_nothing_before_its_first_log(unfinished):
    """The corpus is prepared by then, and the files do not exist yet."""
    (unfinished / PROGRESS_FILE).unlink()
    (unfinished / SAMPLES_FILE).unlink()
    assert textvae.read_progress(unfinished) == Progress("interrupted", 0, None, None, {}, [], None)


def test_a_finished_run_shows_its_whole_training(tiny_run):
    """Its log is training.json; the file of an unfinished run is removed."""
    progress = textvae.read_progress(tiny_run)
    log = json.loads((tiny_run / "training.json").read_text())
    assert not (tiny_run / PROGRESS_FILE).exists()
    assert (progress.state, progress.step, progress.fraction) == ("finished", 12, 1.0)
    assert progress.seconds == log["seconds"]
    logged = [(entry["step"], entry["loss"]) for entry in log["history"] if "loss" in entry]
    assert progress.curves["loss"] == logged
    assert [table.step for table in progress.samples] == [6, 12]
    assert progress.verdict is not None


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, name):
    """A run may be removed while somebody watches it."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="there is no run"):
        textvae.read_progress(tmp_path / name)
