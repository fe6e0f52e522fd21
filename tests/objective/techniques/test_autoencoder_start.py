"""A start as an autoencoder: what begins anew, what stays, and what other techniques are told meanwhile."""

import json
import math
from pathlib import Path

import pytest
import torch

import textvae
from tests.objective.techniques.test_techniques import FACTS, some_kl, technique
from tests.tiny import tiny_batch, tiny_model
from tests.tiny_run import train_tiny
from tests.training.test_train import assert_same_weights
from textvae.errors import ConfigError
from textvae.objective.elbo import Objective
from textvae.objective.techniques import Progress
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.training import TrainingSettings
from textvae.training.decoder_restart import restart_decoder
from textvae.training.fsdp import configure_fsdp
from textvae.training.optimizer import build_optimizer, group_parameters
from textvae.training.schedule import TrainingSchedule
from textvae.training.trainer import VAETrainer


def planned(pretraining_share=0.25, **settings):
    return TrainingSchedule(
        TrainingSettings(**{"warmup_steps": 4, **settings}), 10, pretraining_share
    )


def course(plan, most):
    """Go on; return what the plan says before each step."""
    seen = []
    while plan.step < most and not plan.is_over:
        seen.append(
            (
                plan.step,
                plan.progress,
                plan.learning_rate_factor(),
                plan.is_restart_due,
                plan.is_warmed_up,
            )
        )
        plan.advance()
        plan.end_pretraining()
    return seen


def test_the_kl_is_free_until_the_decoder_begins_anew():
    """And the whole of it is paid for after."""
    part = technique("autoencoder_start")
    assert (part.shape_kl(some_kl(), Progress(3, 0.0, is_pretraining=True)) == 0).all()
    torch.testing.assert_close(part.shape_kl(some_kl(), Progress(3, 0.0)), some_kl())


def test_others_are_told_of_a_run_that_begins_after_the_prelude():
    """A fraction of nothing before; then all of it, from 0 to 1; the decoder begins anew once."""
    told = course(planned(steps=40), 40)
    assert [progress.is_pretraining for _, progress, *_ in told] == [True] * 10 + [False] * 30
    fractions = [progress.fraction for _, progress, *_ in told]
    assert fractions == pytest.approx([0.0] * 10 + [step / 30 for step in range(30)])
    assert [step for step, _, _, is_restart_due, _ in told if is_restart_due] == [10]


def test_the_learning_rate_warms_up_again_and_comes_down_after():
    """It is held in the prelude: what is learnt there is not finished."""
    rates = [rate for _, _, rate, *_ in course(planned(steps=40), 40)]
    assert rates[:10] == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7])
    assert rates[10] == pytest.approx(0.25)
    assert rates[13] > 0.9 > 0.01 > rates[-1]


@pytest.mark.parametrize("warmup", [0, 4])
def test_no_look_of_the_prelude_may_become_the_best(warmup):
    """Not even the one right before the decoder begins anew, and without any warm-up."""
    warm = [is_warmed_up for *_, is_warmed_up in course(planned(steps=40, warmup_steps=warmup), 40)]
    assert warm.index(True) == 10 + max(1, warmup)
    assert all(warm[warm.index(True) :])


def test_an_open_ended_run_has_its_prelude_too():
    """A quarter of it is ten epochs, of thirty that bring it to three quarters; then it counts anew."""
    plan = planned()
    assert plan.is_open_ended
    course(plan, 250)
    assert plan.main_start_step == 100
    assert plan.progress.fraction == pytest.approx(0.375)
    course(plan, 1000)
    assert plan.progress.fraction == pytest.approx(0.75)
    late = planned(0.75, most_epochs=4)
    course(late, 1000)
    assert late.main_start_step is not None
    assert late.is_over


@pytest.mark.parametrize("stop", [3, 10, 17])
def test_a_plan_with_a_prelude_goes_on_from_its_state(stop):
    """Before, at and after its end."""
    first, second = planned(steps=40), planned(steps=40)
    before = course(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + course(second, 40) == course(planned(steps=40), 40)


def trained_once():
    """Return a model and its optimizer after a step."""
    model = tiny_model().train()
    optimizer = build_optimizer(model, TrainingSettings())
    model(**tiny_batch()).loss.backward()
    optimizer.step()
    return model, optimizer


def test_the_decoder_begins_anew_and_the_encoder_stays():
    """Fresh weights by the seed alone, drawn from numbers of their own; only its optimizer state is dropped."""
    (model, optimizer), (other, other_optimizer) = trained_once(), trained_once()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    random = torch.get_rng_state()
    restart_decoder(model, optimizer, seed=1)
    assert torch.equal(random, torch.get_rng_state())
    torch.manual_seed(99)
    restart_decoder(other, other_optimizer, seed=1)
    after = model.state_dict()
    torch.testing.assert_close(after, other.state_dict(), rtol=0, atol=0)
    kept = {name for name in after if torch.equal(before[name], after[name])}
    assert kept == {name for name in after if name.startswith(("encoder.", "posterior."))}
    assert {id(p) for p in optimizer.state} == {id(p) for p in group_parameters(model)["encoder"]}


def test_a_controller_does_not_wind_up_in_the_prelude():
    """The KL of an autoencoder is not shown to it."""
    settings = read_settings(
        model={"latent_dim": 4}, objective={"techniques": {"autoencoder_start": {}}}
    )
    objective = Objective(resolve_auto(settings, 12.0).objective, FACTS)
    model, start = tiny_model(), objective.state_dict()
    terms = objective(model, tiny_batch(), Progress(3, 0.0, is_pretraining=True))
    assert objective.state_dict() == start
    assert float(terms.shaped_kl) == 0.0 < float(terms.kl)
    objective(model, tiny_batch(), Progress(4, 0.0))
    assert objective.state_dict() != start


def test_sharded_training_is_refused():
    """No process holds the whole decoder."""

    class Plugin:
        fsdp_version = 2

    with pytest.raises(ConfigError, match="autoencoder_start gives the decoder fresh weights"):
        configure_fsdp(Plugin(), pretraining_share=0.25)


TECHNIQUES = {
    "autoencoder_start": {"share": 0.5},
    "aggressive": {"window": 3, "most": 7},
    "word_dropout": {"rate": 0.2},
}
CHANGES = {"training": {"steps": 8, "evaluations": 8}, "objective": {"techniques": TECHNIQUES}}


def interrupt(folder: Path, step: int, monkeypatch) -> None:
    """Train until the checkpoint of a step is written."""
    finalize_checkpoint = VAETrainer.finalize_checkpoint

    def stop(trainer):
        finalize_checkpoint(trainer)
        if trainer.state.global_step == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(VAETrainer, "finalize_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(folder, **CHANGES)
    monkeypatch.undo()


def test_a_run_goes_on_from_any_checkpoint_as_if_unbroken(tmp_path, monkeypatch):
    """In the prelude, at its end and after it, amid the encoder's own batches."""
    train_tiny(tmp_path / "straight", **CHANGES)
    history = json.loads((tmp_path / "straight" / "training.json").read_text())["history"]
    assert any(entry.get("encoder_steps") for entry in history)
    early = [
        entry["eval_selection"]
        for entry in history
        if "eval_selection" in entry and entry["step"] <= 4
    ]
    assert early == [math.inf] * 4
    for step in (2, 4, 6):
        broken = tmp_path / f"broken{step}"
        interrupt(broken, step, monkeypatch)
        textvae.train(output=broken, resume=True, device="cpu")
        assert_same_weights(tmp_path / "straight", broken)
