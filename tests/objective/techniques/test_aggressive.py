"""Aggressive training: when it stops, what its steps touch, and that they are the same on every restart."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from textvae.errors import ConfigError
from textvae.inference.checkpoint import load_bundle
from textvae.objective.elbo import ObjectiveSettings
from textvae.runs.run import Run
from textvae.settings.reading import read_settings
from textvae.training.encoder_training import EncoderTrainingCallback, iterate_encoder_batches
from textvae.training.fit import build_trainer
from textvae.training.optimizer import group_parameters
from textvae.training.preparation import refuse_second_reading

FALLING = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]


def steps_asked_for(losses, **settings):
    """Return how many encoder steps it takes at a time, told these losses in turn."""
    asked, told = [], iter(losses)

    def train_encoder(steps):
        asked.append(steps)
        return next(told)

    technique("aggressive", **settings).before_step(train_encoder)
    return asked


@pytest.mark.parametrize(
    ("losses", "asked"),
    [
        (FALLING, [15, 15, 15, 15, 15, 15, 10]),
        ([9.0, 8.0, 8.5, 1.0], [15, 15, 15]),
        ([9.0, 9.0, 9.1], [15, 15, 15]),
        ([9.0, math.nan, 1.0], [15, 15]),
    ],
)
def test_the_encoder_trains_until_its_loss_rises_and_a_hundred_steps_at_most(losses, asked):
    """Compared window by window, as in the paper."""
    assert steps_asked_for(losses) == asked


def test_it_ends_for_good_once_a_look_finds_less_information():
    """Though a later one finds more again."""
    part, held = technique("aggressive"), []
    for information in (-0.01, 0.5, 0.7, 0.6, 0.9):
        part.on_evaluation({"mi_batch32": information})
        held.append(part.freezes_encoder)
    assert held == [True, True, True, False, False]
    part.before_step(lambda steps: pytest.fail("it is over"))


@pytest.fixture
def trainer(tiny_run):
    """A trainer on a finished run's data, that trains its encoder aggressively beside the default techniques."""
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
    """The decoder's weights and optimizer state, and the controller, are as before; the encoder has moved."""
    parts = group_parameters(trainer.bundle.model)
    before, state = (
        {name: copies(side) for name, side in parts.items()},
        trainer.objective.state_dict(),
    )
    assert EncoderTrainingCallback(trainer).train_encoder(3) > 0
    torch.testing.assert_close(before["decoder"], copies(parts["decoder"]), rtol=0, atol=0)
    assert not any(
        torch.equal(*pair) for pair in zip(before["encoder"], parts["encoder"], strict=True)
    )
    assert trainer.objective.state_dict() == state
    assert {id(p) for p in trainer.optimizer.state} == {id(p) for p in parts["encoder"]}
    assert all(parameter.grad is None for parameter in trainer.bundle.model.parameters())


def test_the_step_itself_leaves_the_encoder_alone_until_it_is_over(trainer):
    """The encoder's gradients are dropped, and only those."""
    parts, callback, seen = (
        group_parameters(trainer.bundle.model),
        EncoderTrainingCallback(trainer),
        [],
    )
    for is_on in (True, False):
        trainer.objective.techniques["aggressive"].freezes_encoder = is_on
        for parameter in trainer.bundle.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        callback.on_pre_optimizer_step(None, None, None)
        seen.append(
            {name: all(p.grad is not None for p in parts[name]) for name in ("encoder", "decoder")}
        )
    assert seen == [{"encoder": False, "decoder": True}, {"encoder": True, "decoder": True}]


def test_its_loss_is_the_objectives_in_nats_a_token(trainer):
    """Averaged over all tokens of the batches it trained on; with a learning rate of nothing the model stays."""
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    model = trainer.bundle.model
    model.train()
    torch.manual_seed(0)
    batches = [batch for _, batch in zip(range(4), iterate_encoder_batches(trainer), strict=False)]
    losses = [
        trainer.objective(model, batch, trainer.schedule.progress, False).loss.item()
        for batch in batches
    ]
    nats = sum(loss * len(batch["labels"]) for loss, batch in zip(losses, batches, strict=True))
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    torch.manual_seed(0)
    assert EncoderTrainingCallback(trainer).train_encoder(4) == pytest.approx(
        nats / tokens, rel=1e-5
    )


@pytest.mark.parametrize("taken", [0, 3, 29])
def test_its_batches_go_on_from_where_the_plan_stands(trainer, taken):
    """Into the next epoch, in another order than the loop's."""
    whole = [
        batch["labels"]
        for _, batch in zip(range(60), iterate_encoder_batches(trainer), strict=False)
    ]
    trainer.schedule.encoder_steps = taken
    rest = [
        batch["labels"]
        for _, batch in zip(range(60 - taken), iterate_encoder_batches(trainer), strict=False)
    ]
    assert all(torch.equal(*pair) for pair in zip(whole[taken:], rest, strict=True))
    assert len(trainer.buckets) < 30
    assert [len(labels) for labels in whole[: len(trainer.buckets)]] != [
        len(batch) for batch in trainer.buckets
    ]


def test_a_stream_is_refused_with_the_reason():
    """Its sentences are read once, and these steps need batches of their own."""
    with pytest.raises(
        ConfigError, match=r"aggressive.*a stream can be read only once.*data\.streaming=false"
    ):
        refuse_second_reading(read_settings(objective={"techniques": {"aggressive": {}}}))
