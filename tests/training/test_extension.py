"""Training longer: `--resume` with a later end, for interrupted and for finished runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

import textvae
from tests.tiny_run import SENTENCES, train_tiny
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError
from textvae.runs.run import Run
from textvae.settings.training import TrainingSettings
from textvae.training import extension
from textvae.training.schedule import TrainingSchedule
from textvae.training.trainer import VAETrainer
from textvae.vae import TextVAE

RUNS: dict[str, dict[str, Any]] = {
    "default": {},
    "refit": {"objective": {"techniques": {"refit_posterior": {"share": 0.2}}}},
    "adversarial": {"objective": {"techniques": {"adversarial": {}, "target_kl": "off"}}},
    "language model": {"objective": {"kind": "language_model"}},
}


def read_log(run):
    """Return the log of a run."""
    return json.loads((run / "training.json").read_text())


def read_weights(run):
    """Return the weights of a finished run."""
    return load_file(run / "model.safetensors")


def differ(one, other):
    """Return whether two runs have different weights."""
    weights = read_weights(one), read_weights(other)
    return any(not weights[0][name].equal(weights[1][name]) for name in weights[0])


def resume(run, **bounds):
    """Resume a run with new bounds."""
    return textvae.train(output=run, resume=True, device="cpu", training=bounds)


@pytest.fixture
def finished(tiny_run, tmp_path):
    """A copy of a run of twelve steps."""
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_is_trained_longer(tmp_path, name):
    """Also with techniques whose own weights were not kept; the log goes on."""
    run = tmp_path / "run"
    train_tiny(run, **RUNS[name])
    before = read_log(run)["history"]
    earlier = shutil.copytree(run, tmp_path / "earlier")
    (run / "measures.json").write_text('{"elbo": -1.0}')
    vae = resume(run, steps=18)
    assert vae.generate(1)
    log = read_log(run)
    assert log["steps"] == 18
    steps = [entry["step"] for entry in log["history"]]
    assert steps[: len(before)] == [entry["step"] for entry in before]
    assert max(steps) == 18
    assert differ(run, earlier)
    assert Run(run).read_settings().training.steps == 18
    assert not (run / "measures.json").exists()  # they are those of the earlier model
    assert not list(run.glob("checkpoint-*"))


def test_a_run_that_is_trained_longer_has_as_many_lines_in_its_log(tmp_path):
    """A checkpoint of a finished run has transformers' number of steps between lines."""
    train_tiny(tmp_path / "run", training={"logging_steps": 2})
    resume(tmp_path / "run", steps=20)
    logged = [entry["step"] for entry in read_log(tmp_path / "run")["history"] if "loss" in entry]
    assert logged == list(range(2, 21, 2))


def test_the_command_line_trains_longer(finished, capsys):
    """Without a bound it says that the run is finished, and how to train it longer."""
    command = ["train", "--output", str(finished), "--resume", "--device", "cpu"]
    assert main(command) == 0
    advice = (
        "the run is finished, after 12 steps. To train it longer: "
        f"textvae train --output {finished} --resume training.steps=24"
    )
    assert advice in capsys.readouterr().err
    assert main([*command, "training.steps=14"]) == 0
    assert read_log(finished)["steps"] == 14


@pytest.mark.parametrize("name", ["steps", "epochs", "max_minutes"])
def test_a_new_bound_replaces_all_bounds(finished, name):
    """Steps, epochs and minutes count from the beginning of the run."""
    minutes = read_log(finished)["state"]["plan"]["used"] / 60
    values: dict[str, float] = {"steps": 13, "epochs": 2.5, "max_minutes": minutes + 0.02}
    bounds = {name: values[name]}
    resume(finished, **bounds)
    training = Run(finished).read_settings().training
    expected = {"steps": None, "epochs": None, "max_minutes": None, **bounds}
    assert {name: getattr(training, name) for name in expected} == expected
    assert read_log(finished)["steps"] > 12


def test_a_killed_extension_ends_as_the_unbroken_one(finished, tmp_path, monkeypatch):
    """It continues from its own checkpoints."""
    copies: list[Path] = []
    finalize = VAETrainer.finalize_checkpoint

    def copy_after_finalizing(trainer):
        finalize(trainer)
        copies.append(shutil.copytree(finished, tmp_path / f"killed-{len(copies)}"))

    with monkeypatch.context() as patch:
        patch.setattr(VAETrainer, "finalize_checkpoint", copy_after_finalizing)
        resume(finished, steps=30)
    assert len(copies) > 1
    for copy in copies:
        resume(copy)
        assert not differ(copy, finished)
        assert read_log(copy)["steps"] == 30


def test_an_extension_killed_before_its_first_step_continues(finished, tmp_path, monkeypatch):
    """The finished model is its checkpoint, and is not lost."""
    before = read_weights(finished)
    unbroken = shutil.copytree(finished, tmp_path / "unbroken")
    resume(unbroken, steps=16)
    extension.extend(Run(finished), {"steps": 16}, torch.device("cpu"))
    checkpoint = load_file(finished / "checkpoint-12" / "model.safetensors")
    assert all(checkpoint[name].equal(before[name]) for name in before)
    ended = shutil.copytree(finished, tmp_path / "ended")
    textvae.finish(ended, device="cpu")
    assert all(read_weights(ended)[name].equal(before[name]) for name in before)
    resume(finished)
    assert not differ(finished, unbroken)


@pytest.mark.parametrize("name", ["save_bundle", "write_atomically"])
def test_an_extension_that_fails_leaves_the_finished_run(finished, monkeypatch, name):
    """The next --resume tidies up what it left."""
    before = read_weights(finished)
    names = {path.name for path in finished.iterdir()}
    calls = []

    def fail(*_):
        calls.append(1)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(extension, name, fail)
        with pytest.raises(textvae.OutputError, match="the disk is full"):
            resume(finished, steps=16)
    resume(finished)
    assert all(read_weights(finished)[name].equal(before[name]) for name in before)
    assert {path.name for path in finished.iterdir()} == names


def test_an_interrupted_run_with_the_same_end_equals_the_unbroken_one(tmp_path, monkeypatch):
    """Its optimizer and its noise continue; only the end is named again."""
    unbroken, run = tmp_path / "unbroken", tmp_path / "run"
    train_tiny(unbroken, training={"steps": 20})
    finalize = VAETrainer.finalize_checkpoint

    def interrupt(trainer):
        finalize(trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VAETrainer, "finalize_checkpoint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(run, training={"steps": 20})
    resume(run, steps=20)
    assert not differ(run, unbroken)


REFUSED = [
    ({"training": {"steps": 12}}, "steps = 12: the run has been trained for 12 steps"),
    ({"training": {"steps": 3}}, "steps = 3"),
    ({"training": {"epochs": 0.1}}, r"epochs = 0\.1: the run has been trained"),
    ({"training": {"max_minutes": 1e-9}}, "max_minutes = 1e-09: the run has been trained"),
    ({"training": {"steps": None}}, r"training\.steps: is empty"),
    ({"training": {"steps": -4}}, r"training\.steps = -4 does not fit"),
    ({"training": {"steps": "many"}}, "steps = 'many' does not fit"),
    ({"training": {"seed": 2}}, r"got training\.seed"),
    ({"training": {"steps": 20, "learning_rate": 1}}, r"got training\.learning_rate"),
    ({"model": {"latent_dim": 2}}, "got model"),
    ({"overrides": ["data.held_out=0.2"]}, "got data"),
    ({"overrides": ["training.stepz=20"]}, r"got training\.stepz"),
    ({"corpus": ["a", "b"]}, "keeps its corpus and settings"),
    ({"config": "a.yaml"}, "keeps its corpus and settings"),
    ({"preset": "pretrained"}, "keeps its corpus and settings"),
    ({"init": "other"}, "keeps its corpus and settings"),
    ({"overwrite": True}, "give only one of them"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_a_resumed_run_changes_nothing_but_its_end(tiny_run, arguments, words):
    """The message says what can be changed, or how long the run has been trained."""
    with pytest.raises(ConfigError, match=words):
        textvae.train(output=tiny_run, resume=True, device="cpu", **arguments)
    assert Run(tiny_run).is_finished()


def change_state(run, state):
    """Replace the state in the log of a run."""
    (run / "training.json").write_text(json.dumps({**read_log(run), "state": state}))


def test_a_run_without_the_state_of_its_end_is_refused(finished):
    """An earlier release did not keep it; a new run can start from the model."""
    change_state(finished, None)
    with pytest.raises(CheckpointError, match=r"cannot be trained longer.*--init"):
        resume(finished, steps=20)


@pytest.mark.parametrize("value", [None, "x", [], {}, -1, True], ids=repr)
@pytest.mark.parametrize("name", ["plan", "step", "used", "bounds", "techniques", "meter"])
def test_a_damaged_state_is_refused(finished, name, value):
    """Nothing has been written by then."""
    state = read_log(finished)["state"]
    if name in state:
        state[name] = value
    else:
        state["plan"][name] = value
    if (name, value) in (("bounds", []), ("techniques", {})):
        pytest.skip("it is a whole state")
    change_state(finished, state)
    before = sorted(path.name for path in finished.iterdir())
    with pytest.raises(CheckpointError, match=r"training\.json: is damaged"):
        resume(finished, steps=20)
    assert sorted(path.name for path in finished.iterdir()) == before


def test_a_checkpoint_of_the_users_in_a_finished_run_is_not_replaced(finished):
    """Training would delete it."""
    (finished / "checkpoint-12").mkdir()
    with pytest.raises(CheckpointError, match="checkpoint-12: is no checkpoint that this run"):
        resume(finished, steps=20)
    assert (finished / "checkpoint-12").is_dir()


def make_schedule(pretraining=0.0, **settings):
    """Return a schedule of ten steps per epoch, with a share of pretraining."""
    return TrainingSchedule(TrainingSettings(warmup_steps=4, **settings), 10, pretraining)


def continue_schedule(schedule, restarts=False, **settings):
    """Return a schedule with other bounds that continues another one."""
    state = json.loads(json.dumps(schedule.state_dict()))
    longer = make_schedule(**settings)
    longer.load_state_dict({**state, "restart": schedule.step if restarts else None})
    return longer


def advance(schedule, steps):
    """Take steps."""
    for _ in range(steps):
        schedule.advance()
        schedule.begin_phases()


def test_a_longer_run_has_the_learning_rate_of_a_run_of_that_length():
    """From the step at which it continues, as if its end had been planned."""
    planned, schedule = make_schedule(steps=60), make_schedule(steps=30)
    advance(planned, 30)
    advance(schedule, 30)
    assert schedule.is_over
    longer = continue_schedule(schedule, steps=60)
    assert not longer.is_over
    for _ in range(30):
        assert longer.learning_rate_factor() == planned.learning_rate_factor()
        advance(longer, 1)
        advance(planned, 1)
    assert longer.is_over


def test_a_run_with_a_new_optimizer_warms_up_again():
    """For at most as many steps as the first time."""
    planned, schedule = make_schedule(steps=60), make_schedule(steps=30)
    advance(planned, 30)
    advance(schedule, 30)
    longer = continue_schedule(schedule, restarts=True, steps=60)
    shares = []
    for _ in range(6):
        shares.append(longer.learning_rate_factor() / planned.learning_rate_factor())
        advance(longer, 1)
        advance(planned, 1)
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_an_open_ended_run_in_its_cool_down_can_get_an_end():
    """The cool-down is over then, and the cosine of the new bound takes its place."""
    schedule = make_schedule()
    advance(schedule, 40)
    schedule.begin_cooldown()
    advance(schedule, 10)
    assert schedule.is_over
    longer = continue_schedule(schedule, steps=100)
    assert not longer.is_over
    assert longer.learning_rate_factor() == pytest.approx(0.5)


class _Stop(TrainerCallback):  # type: ignore[misc]
    """Interrupts a training after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_in_its_refit_is_trained_longer(tmp_path):
    """No model of the refit, whose KL is low, is the best one then: the decoder goes on learning."""
    run = tmp_path / "run"
    refit = {"techniques": {"refit_posterior": {"share": 0.24}}}
    training = {"steps": 40, "evaluations": 8, "warmup_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        train_tiny(run, SENTENCES, objective=refit, training=training, callbacks=[_Stop(37)])
    before = load_file(run / "checkpoint-35" / "model.safetensors")
    textvae.train(output=run, resume=True, overrides=["training.steps=80"], device="cpu")
    after = load_file(run / "model.safetensors")
    decoder = [name for name in after if name.startswith("decoder.")]
    assert not any(torch.equal(before[name], after[name]) for name in decoder)
    log = json.loads((run / "training.json").read_text())
    assert log["steps"] == 80


def test_the_kept_step_of_an_extension_without_gain_is_that_of_the_kept_model(tmp_path):
    """The checkpoint that it restarts from is called after the last step of the first run."""

    class EarlyTrainer(VAETrainer):
        """Takes no step after the sixth for the best."""

        def _determine_best_metric(self, metrics, trial):
            late = self.state.global_step > 6
            return False if late else super()._determine_best_metric(metrics, trial)

    options = {"objective": {"techniques": {"target_kl": "off"}}, "trainer": EarlyTrainer}
    train_tiny(tmp_path / "run", **options)
    first = json.loads((tmp_path / "run" / "training.json").read_text())
    before = read_weights(tmp_path / "run")
    textvae.train(
        output=tmp_path / "run",
        resume=True,
        device="cpu",
        training={"steps": 18},
        trainer=EarlyTrainer,
    )
    after = json.loads((tmp_path / "run" / "training.json").read_text())
    assert all(
        before[name].equal(weight) for name, weight in read_weights(tmp_path / "run").items()
    )
    keys = ("best_step", "kept_step", "kept_learning_rate")
    assert [after[key] for key in keys] == [first[key] for key in keys]
    assert first["kept_step"] == 6


def test_a_finished_run_that_cannot_be_trained_stays_finished(finished):
    """What training needs is checked before the final model is given up."""
    (finished / "corpus" / "train.arrow").unlink()
    before = sorted(file.name for file in finished.iterdir())
    with pytest.raises(CheckpointError, match="train"):
        textvae.train(output=finished, resume=True, training={"steps": 50})
    assert sorted(file.name for file in finished.iterdir()) == before
    assert TextVAE.from_pretrained(finished, device="cpu").generate(1)


@pytest.mark.parametrize("is_finished", [True, False])
def test_the_main_phase_of_a_longer_run_goes_on_where_it_was(is_finished):
    """Its pretraining, which is over, is a smaller share of it; an interrupted run has not ended."""
    schedule = make_schedule(steps=40, pretraining=0.25)
    advance(schedule, 40 if is_finished else 25)
    longer = continue_schedule(schedule, is_finished, steps=400, pretraining=0.25)
    assert longer.progress.fraction == pytest.approx((schedule.step - 10) / 390)
    again = continue_schedule(longer, is_finished, steps=400, pretraining=0.25)
    assert again.progress.fraction == longer.progress.fraction
    advance(again, 400 - again.step)
    assert again.progress.fraction == 1.0
