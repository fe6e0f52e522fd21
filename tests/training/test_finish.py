"""`textvae finish`: an interrupted run becomes a finished one, with the model that it has."""

import json
import shutil

import pytest
from safetensors.torch import load_file

import textvae
from tests.tiny_run import train_tiny
from textvae.cli.main import main
from textvae.errors import CheckpointError
from textvae.training.trainer import VAETrainer


@pytest.fixture(scope="module")
def interrupted_runs(tmp_path_factory):
    """Return copies of a run after its checkpoints, by their step; the best one is that of step 4."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    copies = {}
    finalize = VAETrainer.finalize_checkpoint

    def copy_after_finalizing(trainer):
        finalize(trainer)
        step = trainer.state.global_step
        copies[step] = shutil.copytree(folder, folder.with_name(f"after-{step}"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VAETrainer, "finalize_checkpoint", copy_after_finalizing)
        patch.setattr(
            VAETrainer, "is_eligible_as_best", lambda trainer, kl: trainer.schedule.step == 4
        )
        train_tiny(folder, training={"evaluations": 3})
    return copies


@pytest.fixture
def interrupted(interrupted_runs, tmp_path):
    """A copy of the run after step 8 that a test may change."""
    return shutil.copytree(interrupted_runs[8], tmp_path / "run")


def assert_same_weights(run, checkpoint):
    """Fail unless a finished run has the weights of a checkpoint."""
    finished, expected = load_file(run / "model.safetensors"), load_file(checkpoint)
    assert all(finished[name].equal(expected[name]) for name in finished)


def test_a_finished_run_keeps_the_best_checkpoint(interrupted, interrupted_runs):
    """It can be used, and has what only a finished run has."""
    vae = textvae.finish(interrupted, device="cpu")
    assert len(vae.generate(2)) == 2
    assert_same_weights(interrupted, interrupted_runs[8] / "checkpoint-4" / "model.safetensors")
    names = {path.name for path in interrupted.iterdir()}
    assert {"model.safetensors", "README.md", "training.json"} <= names
    assert not {"init", ".saving", "checkpoint-4", "checkpoint-8"} & names


def test_the_newest_checkpoint_is_kept_if_the_settings_say_so(interrupted, interrupted_runs):
    """As at the end of a run with training.keep=last."""
    settings = interrupted / "settings.yaml"
    settings.write_text(settings.read_text().replace("keep: best", "keep: last"))
    textvae.finish(interrupted, device="cpu")
    assert_same_weights(interrupted, interrupted_runs[8] / "checkpoint-8" / "model.safetensors")


def test_a_checkpoint_without_measures_is_evaluated_and_can_be_the_best(interrupted, monkeypatch):
    """A signal saves a checkpoint without an evaluation."""
    for name in ("trainer_state.json", "checksums.json"):
        state = interrupted / "checkpoint-8" / name
        record = json.loads(state.read_text())
        if name == "trainer_state.json":
            record["log_history"] = [entry for entry in record["log_history"] if entry["step"] < 8]
        else:
            record.pop("trainer_state.json")
        state.write_text(json.dumps(record))
    monkeypatch.setattr("textvae.training.checkpoints._find_damage_inside", lambda _: None)
    monkeypatch.setattr(VAETrainer, "is_eligible_as_best", lambda trainer, kl: True)
    textvae.finish(interrupted, device="cpu")
    log = json.loads((interrupted / "training.json").read_text())
    evaluated = [entry for entry in log["history"] if "eval_selection" in entry]
    assert [entry["step"] for entry in evaluated] == [4, 8]
    best = min(evaluated, key=lambda entry: entry["eval_selection"])
    assert log["kept_step"] == best["step"]


def test_the_log_says_how_far_the_schedule_had_come(interrupted):
    """The learning rate has not fallen to zero."""
    textvae.finish(interrupted, device="cpu")
    log = json.loads((interrupted / "training.json").read_text())
    assert (log["steps"], log["kept_step"]) == (8, 4)
    assert log["kept_learning_rate"] > 0.1


def test_a_run_that_is_finished_already_stays_as_it_is(tiny_run, tmp_path, capsys):
    """A note says so, and the exit code is 0."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["finish", str(run), "--device", "cpu"]) == 0
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert "finished already" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_cannot_be_finished(interrupted, capsys):
    """The message says how to continue."""
    for checkpoint in interrupted.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    assert main(["finish", str(interrupted)]) == 2
    assert "has no checkpoint yet, so there is no model to finish" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, {}, {"settings.yaml": "training: {}"}, {"x.txt": "x"}])
def test_a_folder_that_is_no_run_is_refused_and_unchanged(tmp_path, content):
    """Nothing is created in it or next to it."""
    folder = tmp_path / "a" / "b"
    if content is not None:
        folder.mkdir(parents=True)
        for name, text in content.items():
            (folder / name).write_text(text)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match=r"no such folder|settings\.yaml|not a run"):
        textvae.finish(folder)
    assert sorted(tmp_path.rglob("*")) == before
