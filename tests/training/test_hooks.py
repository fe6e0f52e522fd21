"""Callbacks of transformers, and subclasses of the trainer: they see a training, and may end it."""

import json

import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerCallback

import textvae
from tests.tiny_run import train_tiny
from tests.training.test_train import assert_same_weights
from textvae.errors import ConfigError
from textvae.runs.run import find_foreign_entries


class Notes(TrainerCallback):
    """Notes the events that it is called for."""

    def __init__(self):
        self.events = []

    def on_train_begin(self, args, state, control, **objects):
        """Note the beginning."""
        self.events.append(("begin", state.global_step))

    def on_log(self, args, state, control, logs=None, **objects):
        """Note that the loss was logged."""
        if "loss" in logs:
            self.events.append(("loss", state.global_step))

    def on_evaluate(self, args, state, control, metrics=None, **objects):
        """Note the measures of an evaluation."""
        self.events.append(("elbo" if "eval_elbo" in metrics else "?", state.global_step))


class Stop(TrainerCallback):
    """Stops the training at the third step, in one of the events."""

    def __init__(self, event):
        setattr(self, event, self.stop)

    def stop(self, args, state, control, **objects):
        """Stop at the third step."""
        if state.global_step >= 3:
            control.should_training_stop = True


class Raises(TrainerCallback):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("boom")


class NeedsArgument(TrainerCallback):
    """Cannot be built without an argument."""

    def __init__(self, patience):
        self.patience = patience


class Steps(textvae.VAETrainer):
    """Counts its steps."""

    count = 0

    def training_step(self, *batch, **options):
        """Count a step."""
        Steps.count += 1
        loss = super().training_step(*batch, **options)
        assert self.state.global_step < 12
        return loss


def test_callbacks_and_a_subclass_see_the_training_and_change_nothing(tmp_path):
    """The run folder has the same files and the same weights as without them."""
    notes = Notes()
    Steps.count = 0
    train_tiny(tmp_path / "plain")
    train_tiny(tmp_path / "run", callbacks=[notes, TrainerCallback], trainer=Steps)
    assert notes.events == [
        ("begin", 0),
        ("loss", 3),
        ("loss", 6),
        ("elbo", 6),
        ("loss", 9),
        ("loss", 12),
        ("elbo", 12),
    ]
    assert Steps.count == 12
    assert_same_weights(tmp_path / "plain", tmp_path / "run")
    names = [
        {path.relative_to(run).as_posix() for path in run.rglob("*")}
        for run in (tmp_path / "plain", tmp_path / "run")
    ]
    assert names[0] == names[1]
    assert find_foreign_entries(tmp_path / "run") == []


@pytest.mark.parametrize("event", ["on_step_begin", "on_step_end", "on_log", "on_evaluate"])
def test_a_run_that_a_callback_stops_ends_with_an_evaluated_model(tmp_path, event):
    """Its last step is evaluated, whatever the event, and the run is finished."""
    end = {"on_step_begin": 4, "on_evaluate": 6}.get(event, 3)
    vae = train_tiny(tmp_path / "run", callbacks=[Stop(event)])
    log = json.loads((tmp_path / "run" / "training.json").read_text())
    assert log["steps"] == end
    assert [entry["step"] for entry in log["history"] if "eval_elbo" in entry] == [end]
    assert vae.generate(1, seed=0) == textvae.TextVAE.from_pretrained(tmp_path / "run").generate(
        1, seed=0
    )


def test_early_stopping_of_transformers_ends_a_run(tmp_path):
    """It follows what selects the best model."""
    training = {"steps": 30, "evaluations": 30, "learning_rate": 1e-9}
    off = {"techniques": {"target_kl": "off"}}
    callback = EarlyStoppingCallback(2, early_stopping_threshold=1.0)
    train_tiny(tmp_path / "run", training=training, objective=off, callbacks=[callback])
    log = json.loads((tmp_path / "run" / "training.json").read_text())
    assert log["steps"] < 30
    assert log["best_step"] is not None


def test_an_error_in_a_callback_reaches_the_caller(tmp_path):
    """The run can be resumed."""

    class Fails(TrainerCallback):
        def on_step_end(self, args, state, control, **objects):
            if state.global_step == 7:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_tiny(tmp_path / "run", callbacks=[Fails])
    assert textvae.read_progress(tmp_path / "run").state == "interrupted"
    textvae.train(output=tmp_path / "run", resume=True, device="cpu", callbacks=[Notes])
    assert textvae.read_progress(tmp_path / "run").state == "finished"


@pytest.mark.parametrize(
    "callbacks",
    [
        3,
        None,
        "x",
        Notes,
        Notes(),
        [3],
        ["x"],
        [None],
        [int],
        [Notes, lambda: None],
        [NeedsArgument],
        [Raises],
    ],
)
def test_what_is_no_callback_is_refused_before_any_work(tmp_path, callbacks):
    """The message says what was expected; nothing is written."""
    with pytest.raises(ConfigError, match="callbacks"):
        textvae.train("gone.txt", output=tmp_path / "run", callbacks=callbacks)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trainer", [3, "x", int, Notes, torch.nn.Module])
def test_what_is_no_trainer_is_refused_before_any_work(tmp_path, trainer):
    """It must be a subclass of ours, not any trainer of transformers."""
    with pytest.raises(ConfigError, match="subclass of textvae"):
        textvae.train("gone.txt", output=tmp_path / "run", trainer=trainer)
    assert list(tmp_path.iterdir()) == []


def test_early_stopping_does_not_count_a_model_that_cannot_become_the_best(tmp_path):
    """During the warm-up no evaluation counts; they are no reason to end the run."""
    train_tiny(
        tmp_path / "run",
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
        training={"steps": 24, "evaluations": 8, "warmup_steps": 16},
    )
    log = json.loads((tmp_path / "run" / "training.json").read_text())
    assert log["steps"] > 16
