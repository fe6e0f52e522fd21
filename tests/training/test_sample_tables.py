"""Tables of samples: written at each evaluation, without any effect on the training."""

import random
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, tiny_dataset, tiny_vae
from tests.tiny_run import SENTENCES as CORPUS
from tests.tiny_run import train_tiny
from tests.training.test_train import load_weights
from textvae.evaluation.progress import iterate_sample_tables
from textvae.inference.bundle import Bundle
from textvae.runs.run import Run
from textvae.training import sample_tables
from textvae.training.sample_tables import SampleTableCallback, write_table

LABELS = {"small": 3, "large": 5}


def test_training_gives_the_same_weights_without_tables(tiny_run, tmp_path, monkeypatch):
    """Writing them uses none of the training's random numbers, and has no other effect."""
    monkeypatch.setattr(SampleTableCallback, "on_evaluate", lambda *arguments, **objects: None)
    train_tiny(tmp_path / "run")
    assert (tmp_path / "run" / "samples.jsonl").read_text() == ""
    with_tables = load_weights(tiny_run)
    without = load_weights(tmp_path / "run")
    assert with_tables.keys() == without.keys()
    assert all(torch.equal(with_tables[name], without[name]) for name in without)


def test_a_run_has_a_table_for_each_evaluation(tiny_run):
    """Its inputs are sentences of the validation split, the same ones in each table."""
    tables = list(iterate_sample_tables(tiny_run / "samples.jsonl"))
    assert [table.step for table in tables] == [6, 12]
    inputs = [[pair.input for pair in table.reconstructions] for table in tables]
    assert inputs[0] == inputs[1]
    assert set(inputs[0]) < set(CORPUS)
    assert len(set(inputs[0])) == 5


@pytest.mark.parametrize("labels", [None, LABELS])
def test_writing_a_table_leaves_the_model_and_all_random_numbers_as_they_are(labels):
    """The same model writes the same table again, whatever was drawn before."""
    bundle = tiny_vae(labels=labels).bundle
    validation = tiny_dataset(bundle)
    if labels is not None:
        validation = validation.add_column("kind", ["small", "large"] * 3)
    bundle.model.train()
    states: list[Any] = [
        torch.get_rng_state(),
        repr(np.random.get_state()),
        random.getstate(),
    ]
    table = write_table(bundle, validation, 7)
    after: list[Any] = [torch.get_rng_state(), repr(np.random.get_state()), random.getstate()]
    assert torch.equal(states[0], after[0])
    assert states[1:] == after[1:]
    assert bundle.model.training
    torch.manual_seed(99)
    assert write_table(bundle, validation, 7) == table
    assert (table.step, len(table.samples)) == (7, 5)
    assert {pair.input for pair in table.reconstructions} < set(SENTENCES)


def test_a_language_model_has_samples_only(tmp_path):
    """It has no latent, so there is nothing to reconstruct from."""
    train_tiny(tmp_path / "run", objective={"kind": "language_model"}, training={"steps": 3})
    tables = list(iterate_sample_tables(tmp_path / "run" / "samples.jsonl"))
    assert [len(table.samples) for table in tables] == [5] * len(tables) != []
    assert [table.reconstructions for table in tables] == [[]] * len(tables)


def test_long_texts_are_cut():
    """A table takes little room, whatever is in the corpus."""
    bundle = tiny_vae().bundle
    bundle.model.generation_config.update(max_new_tokens=10_000)
    table = write_table(bundle, tiny_dataset(bundle, ["a man " * 500, "two dogs run ."]), 1)
    assert max(len(pair.input) for pair in table.reconstructions) < 1_010
    assert max(len(text.split()) for text in table.samples) <= 128


class Trainer:
    """Stands for the trainer of a run."""

    def __init__(self, bundle: Bundle, seconds: float) -> None:
        self.bundle = bundle
        self.validation = tiny_dataset(bundle)
        self.schedule = self.callback_handler = self
        self.callbacks: list[Any] = []
        self.seconds = seconds
        self.global_step = 0


def build_callback(tiny_run, folder, seconds=0.0):
    """Return a callback in a copy of the tiny run, and a function that evaluates at a step."""
    folder.mkdir()
    shutil.copy(tiny_run / "samples.jsonl", folder)
    trainer: Any = Trainer(tiny_vae().bundle, seconds)
    callback = SampleTableCallback(Run(folder), trainer)

    def evaluate(step: int) -> list[int]:
        trainer.global_step = step
        callback.on_evaluate(None, trainer, None)
        return [table.step for table in iterate_sample_tables(folder / "samples.jsonl")]

    return callback, trainer, evaluate


def test_a_resumed_run_keeps_the_tables_up_to_its_checkpoint(tiny_run, tmp_path):
    """The later ones are written again."""
    callback, trainer, evaluate = build_callback(tiny_run, tmp_path / "run")
    trainer.global_step = 6
    callback.on_train_begin(None, trainer, None)
    assert evaluate(9) == [6, 9]


def test_tables_take_a_small_share_of_the_time(tiny_run, tmp_path):
    """They are left out until they have taken at most one percent of the training, or a second."""
    callback, trainer, evaluate = build_callback(tiny_run, tmp_path / "run", seconds=200.0)
    callback.seconds = 1.99
    assert evaluate(3) == [3]
    callback.seconds = 2.01
    assert evaluate(4) == [3]
    trainer.seconds = 300.0
    assert evaluate(5) == [3, 5]
    trainer.seconds, callback.seconds = 10.0, 0.99
    assert evaluate(6) == [3, 5, 6]


def test_a_long_run_keeps_tables_from_all_over_it(tiny_run, tmp_path, monkeypatch):
    """The number of tables is bounded, and the newest is always there."""
    monkeypatch.setattr(sample_tables, "_MAX_TABLES", 4)
    _, _, evaluate = build_callback(tiny_run, tmp_path / "run")
    table = next(iterate_sample_tables(tiny_run / "samples.jsonl"))
    monkeypatch.setattr(
        sample_tables, "write_table", lambda bundle, validation, step: replace(table, step=step)
    )
    written = [evaluate(step) for step in range(1, 12)]
    assert max(map(len, written)) <= 4
    assert [steps[-1] for steps in written] == list(range(1, 12))
    assert written[-1][0] < 4
