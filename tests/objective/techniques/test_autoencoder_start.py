"""Autoencoder start: what starts again, what stays, and what other techniques see meanwhile."""

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


def course(schedule, most):
    """Advance a schedule to a step, and return its state before each step on the way."""
    states = []
    while schedule.step < most and not schedule.is_over:
        states.append(
            (
                schedule.step,
                schedule.progress,
                schedule.learning_rate_factor(),
                schedule.is_restart_due,
                schedule.is_warmed_up,
            )
        )
        schedule.advance()
        schedule.begin_phases()
    return states


def test_the_kl_is_free_until_the_decoder_starts_again():
    """After that, the whole KL counts."""
    part = technique("autoencoder_start")
    assert (part.shape_kl(some_kl(), Progress(3, 0.0, is_pretraining=True)) == 0).all()
    torch.testing.assert_close(part.shape_kl(some_kl(), Progress(3, 0.0)), some_kl())


def test_the_progress_of_a_run_counts_from_the_end_of_pretraining():
    """It is 0 before, then goes from 0 to 1; the decoder starts again once."""
    states = course(planned(steps=40), 40)
    assert [progress.is_pretraining for _, progress, *_ in states] == [True] * 10 + [False] * 30
    fractions = [progress.fraction for _, progress, *_ in states]
    assert fractions == pytest.approx([0.0] * 10 + [step / 30 for step in range(30)])
    assert [step for step, _, _, is_restart_due, _ in states if is_restart_due] == [10]


def test_the_learning_rate_warms_up_again_and_cools_down_at_the_end():
    """It does not cool down during pretraining, whose result need not be final."""
    rates = [rate for _, _, rate, *_ in course(planned(steps=40), 40)]
    assert rates[:10] == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7])
    assert rates[10] == pytest.approx(0.25)
    assert rates[13] > 0.9 > 0.01 > rates[-1]


@pytest.mark.parametrize("warmup", [0, 4])
def test_no_evaluation_during_pretraining_can_become_the_best(warmup):
    """The last one before the decoder starts again cannot either, even without warm-up."""
    warm = [is_warmed_up for *_, is_warmed_up in course(planned(steps=40, warmup_steps=warmup), 40)]
    assert warm.index(True) == 10 + max(1, warmup)
    assert all(warm[warm.index(True) :])


def test_an_open_ended_run_is_pretrained_too():
    """A quarter of the run is ten epochs; thirty more bring the progress to three quarters."""
    schedule = planned()
    assert schedule.is_open_ended
    course(schedule, 250)
    assert schedule.main_start_step == 100
    assert schedule.progress.fraction == pytest.approx(0.375)
    course(schedule, 1000)
    assert schedule.progress.fraction == pytest.approx(0.75)
    late = planned(0.75, most_epochs=4)
    course(late, 1000)
    assert late.main_start_step is not None
    assert late.is_over


@pytest.mark.parametrize("stop", [3, 10, 17])
def test_a_schedule_with_pretraining_resumes_from_its_state(stop):
    """It may stop before, at or after the end of pretraining."""
    first = planned(steps=40)
    second = planned(steps=40)
    before = course(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + course(second, 40) == course(planned(steps=40), 40)


def trained_once():
    """Return a model and its optimizer after one step."""
    model = tiny_model().train()
    optimizer = build_optimizer(model, TrainingSettings())
    model(**tiny_batch()).loss.backward()
    optimizer.step()
    return model, optimizer


def test_the_decoder_starts_again_and_the_encoder_stays():
    """The fresh weights depend only on the seed; only the decoder's optimizer state is dropped."""
    model, optimizer = trained_once()
    other, other_optimizer = trained_once()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    random = torch.get_rng_state()
    restart_decoder(model, optimizer, seed=1)
    assert torch.equal(random, torch.get_rng_state())
    torch.manual_seed(99)
    restart_decoder(other, other_optimizer, seed=1)
    after = model.state_dict()
    torch.testing.assert_close(after, other.state_dict(), rtol=0, atol=0)
    unchanged = {name for name in after if torch.equal(before[name], after[name])}
    assert unchanged == {name for name in after if name.startswith(("encoder.", "posterior."))}
    assert {id(p) for p in optimizer.state} == {id(p) for p in group_parameters(model)["encoder"]}


def test_a_decoder_that_began_with_word_vectors_begins_with_them_again():
    """Everything else of it is as without them."""
    model, optimizer = trained_once()
    other, other_optimizer = trained_once()
    vectors = torch.randn(model.decoder.embed.weight.shape)
    restart_decoder(model, optimizer, 1, vectors)
    restart_decoder(other, other_optimizer, 1)
    assert torch.equal(model.decoder.embed.weight, vectors)
    with torch.no_grad():
        other.decoder.embed.weight.copy_(vectors)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_the_controller_does_not_adapt_during_pretraining():
    """It does not observe the KL of an autoencoder, which is large."""
    settings = read_settings(
        model={"latent_dim": 4}, objective={"techniques": {"autoencoder_start": {}}}
    )
    objective = Objective(resolve_auto(settings, 12.0).objective, FACTS)
    model = tiny_model()
    start = objective.state_dict()
    terms = objective(model, tiny_batch(), Progress(3, 0.0, is_pretraining=True))
    assert objective.state_dict() == start
    assert float(terms.shaped_kl) == 0.0 < float(terms.kl)
    objective(model, tiny_batch(), Progress(4, 0.0))
    assert objective.state_dict() != start


def test_sharded_training_is_refused():
    """No process has the whole decoder, so none can make fresh weights for it."""

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


def test_a_run_resumes_from_any_checkpoint_as_if_it_had_not_stopped(tmp_path, monkeypatch):
    """It may stop during pretraining, at its end, or between the encoder's own batches."""
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
