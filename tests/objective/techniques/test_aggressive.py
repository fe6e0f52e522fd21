"""Aggressive training: when it stops, which weights it changes, and how it resumes."""

import math
from itertools import islice

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.data.run_corpus import choose_corpus
from textvae.errors import ConfigError
from textvae.inference.checkpoint import load_bundle
from textvae.objective.elbo import ObjectiveSettings
from textvae.runs.run import Run
from textvae.settings.reading import read_settings
from textvae.training.encoder_training import EncoderTrainingCallback
from textvae.training.fit import build_trainer
from textvae.training.optimizer import group_parameters

FALLING = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]


def requested_steps(losses, **settings):
    """Return the number of encoder steps in each window, if these are the windows' losses."""
    requested = []
    remaining = iter(losses)

    def train_encoder(steps):
        requested.append(steps)
        return next(remaining)

    technique("aggressive", **settings).before_step(train_encoder)
    return requested


@pytest.mark.parametrize(
    ("losses", "steps"),
    [
        (FALLING, [15, 15, 15, 15, 15, 15, 10]),
        ([9.0, 8.0, 8.5, 1.0], [15, 15, 15]),
        ([9.0, 9.0, 9.1], [15, 15, 15]),
        ([9.0, math.nan, 1.0], [15, 15]),
    ],
)
def test_the_encoder_trains_until_its_loss_rises_or_a_hundred_steps(losses, steps):
    """Losses are compared window by window, as in the paper."""
    assert requested_steps(losses) == steps


def test_it_ends_for_good_once_an_evaluation_finds_less_information():
    """It does not start again if a later evaluation finds more."""
    part = technique("aggressive")
    frozen = []
    for information in (-0.01, 0.5, 0.7, 0.6, 0.9):
        part.on_evaluation({"mi_batch32": information})
        frozen.append(part.freezes_encoder)
    assert frozen == [True, True, True, False, False]
    part.before_step(lambda steps: pytest.fail("the aggressive phase is over"))


@pytest.fixture
def trainer(tiny_run):
    """Return a trainer on a finished run, with `aggressive` added to the default techniques."""
    run = Run(tiny_run)
    techniques = {**run.read_settings().objective.techniques, "aggressive": {}}
    settings = run.read_settings().model_copy(
        update={"objective": ObjectiveSettings(techniques=techniques)}
    )
    trainer = build_trainer(run, settings, load_bundle(tiny_run, "cpu"), torch.device("cpu"))
    trainer.create_optimizer()
    return trainer


def copies(side):
    return [parameter.detach().clone() for parameter in side]


def test_steps_of_the_encoder_alone_touch_nothing_else(trainer):
    """The decoder, its optimizer state and the KL controller stay as they are."""
    parts = group_parameters(trainer.bundle.model)
    before = {name: copies(side) for name, side in parts.items()}
    state = trainer.objective.state_dict()
    assert EncoderTrainingCallback(trainer).train_encoder(3) > 0
    torch.testing.assert_close(before["decoder"], copies(parts["decoder"]), rtol=0, atol=0)
    for old, new in zip(before["encoder"], parts["encoder"], strict=True):
        assert not torch.equal(old, new)
    assert trainer.objective.state_dict() == state
    assert {id(p) for p in trainer.optimizer.state} == {id(p) for p in parts["encoder"]}
    assert all(parameter.grad is None for parameter in trainer.bundle.model.parameters())


def test_a_step_leaves_the_encoder_alone_during_the_aggressive_phase(trainer):
    """Only the encoder's gradients are dropped before the optimizer's step."""
    parts = group_parameters(trainer.bundle.model)
    callback = EncoderTrainingCallback(trainer)
    for is_on in (True, False):
        trainer.objective.techniques["aggressive"].freezes_encoder = is_on
        for parameter in trainer.bundle.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        callback.on_pre_optimizer_step(None, None, None)
        assert all((parameter.grad is None) == is_on for parameter in parts["encoder"])
        assert all(parameter.grad is not None for parameter in parts["decoder"])


def test_its_loss_is_that_of_the_objective_in_nats_per_token(trainer):
    """It is averaged over all tokens of its batches; a learning rate of 0 keeps the model fixed."""
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    model = trainer.bundle.model
    model.train()
    torch.manual_seed(0)
    nats = 0.0
    tokens = 0
    for batch in islice(trainer.batches.iterate_additional(0), 4):
        terms = trainer.objective(model, batch, trainer.schedule.progress, observes_kl=False)
        nats += terms.loss.item() * len(batch["labels"])
        tokens += int(batch["attention_mask"].sum())
    torch.manual_seed(0)
    assert EncoderTrainingCallback(trainer).train_encoder(4) == pytest.approx(
        nats / tokens, rel=1e-5
    )


@pytest.mark.parametrize("taken", [0, 3, 29])
def test_its_batches_go_on_from_the_steps_already_taken(trainer, taken):
    """They continue into the next epoch, in another order than those of the training loop."""
    whole = first_labels(trainer, 60)
    rest = first_labels(trainer, 60 - taken, taken)
    assert all(torch.equal(*pair) for pair in zip(whole[taken:], rest, strict=True))
    buckets = trainer.batches.buckets
    assert len(buckets) < 30
    sizes = [len(labels) for labels in whole[: len(buckets)]]
    assert sizes != [len(batch) for batch in buckets]


def first_labels(trainer, count, taken=0):
    """Return the labels of the next batches that train the encoder, after those taken."""
    batches = trainer.batches.iterate_additional(taken)
    return [batch["labels"] for batch in islice(batches, count)]


def test_a_stream_is_refused_with_the_reason(tmp_path):
    """A stream is read once, and the encoder's steps need batches of their own."""
    settings = read_settings(
        data={"corpus": "a.txt", "streaming": True},
        training={"steps": 1},
        objective={"techniques": {"aggressive": {}}},
    )
    corpus = choose_corpus(tmp_path, settings.data)
    message = r"aggressive.*a stream can be read only once.*data\.streaming=false"
    with pytest.raises(ConfigError, match=message):
        corpus.refuse_settings(settings.training, settings.objective.techniques)
