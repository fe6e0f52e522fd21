"""Refit of the posterior: what stays, what is trained, when it begins, and how it resumes."""

import json
import math

import pytest
import torch

from tests.objective.techniques.test_techniques import FACTS, technique
from tests.tiny import built, draws, tiny_batch, tiny_model
from tests.tiny_run import train_tiny
from textvae.inference.checkpoint import load_bundle
from textvae.model.posteriors import POSTERIORS
from textvae.objective.elbo import Objective, ObjectiveSettings
from textvae.objective.techniques import Progress
from textvae.objective.techniques.base import Refit
from textvae.runs.run import Run
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.training import TrainingSettings
from textvae.training.fit import build_trainer
from textvae.training.optimizer import group_parameters, list_unchanged_by_refit
from textvae.training.schedule import TrainingSchedule
from textvae.training.trainer import VAETrainer

REFIT = Progress(step=90, fraction=1.0, is_refit=True)


def planned(pretraining_share=0.0, share=0.2, rate=0.25, **settings):
    """Return a schedule of ten steps per epoch, with a refit and a warm-up of four steps."""
    merged = TrainingSettings(**{"warmup_steps": 4, **settings})
    return TrainingSchedule(merged, 10, pretraining_share, Refit(share, rate, moves_means=True))


def course(schedule, most=10_000):
    """Advance a schedule to its end; return what training sees before each step."""
    states = []
    while not schedule.is_over and schedule.step < most:
        states.append((schedule.progress, schedule.learning_rate_factor(), schedule.is_refit_due))
        schedule.advance()
        schedule.begin_phases()
    return states


def objective(**techniques):
    """Return an objective with the default techniques, a refit, and others."""
    entries = {"refit_posterior": {}, **techniques}
    settings = read_settings(model={"latent_dim": 4}, objective={"techniques": entries})
    return Objective(resolve_auto(settings, 12.0).objective, FACTS)


# The schedule


@pytest.mark.parametrize("pretraining_share", [0.0, 0.25])
def test_the_main_phase_ends_where_the_refit_begins(pretraining_share):
    """Its cosine comes to its end there, and techniques see the whole of their schedules."""
    states = course(planned(pretraining_share, steps=40))
    assert [progress.is_refit for progress, *_ in states] == [False] * 32 + [True] * 8
    assert [is_due for *_, is_due in states] == [step == 32 for step in range(40)]
    start = int(40 * pretraining_share)
    fractions = [progress.fraction for progress, *_ in states[start:32]]
    assert fractions == pytest.approx([step / (32 - start) for step in range(32 - start)])
    assert states[31][1] < 0.02


def test_the_refit_follows_a_cosine_of_its_own_from_its_own_rate():
    """It has no warm-up and ends at zero."""
    schedule = planned(steps=40)
    rates = [rate for _, rate, _ in course(schedule)]
    expected = [0.25 * 0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    assert rates[32:] == pytest.approx(expected)
    assert schedule.learning_rate_factor() == pytest.approx(0)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_an_open_ended_run_is_refitted_after_its_cooldown(share):
    """The refit has its share of the whole run, within the bound on the epochs."""
    schedule = planned(share=share, most_epochs=20)
    states = course(schedule)
    length = sum(progress.is_refit for progress, *_ in states)
    assert length / len(states) == pytest.approx(share, abs=0.5 / len(states))
    assert len(states) <= 20 * 10
    assert schedule.cooldown_steps[1] == len(states) - length
    assert states[-length - 1][1] < 0.05
    assert (schedule.fraction, schedule.learning_rate_factor()) == (1, 0)


@pytest.mark.parametrize("settings", [{"steps": 40}, {"most_epochs": 6}])
@pytest.mark.parametrize("stop", [3, 32, 36, 47])
def test_a_schedule_with_a_refit_resumes_from_its_state(settings, stop):
    """It may stop in the main phase, at its end, or during the refit."""
    first = planned(**settings)
    second = planned(**settings)
    before = course(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + course(second) == course(planned(**settings))


def test_a_run_too_short_for_a_refit_still_ends():
    """The main phase then leaves no step for the refit."""
    assert not any(progress.is_refit for progress, *_ in course(planned(share=0.01, steps=5)))


# The loss


def test_the_loss_of_the_refit_is_the_negative_elbo():
    """No technique shapes it, and the controller does not adapt."""
    part = objective(bag_of_words={}, latent_dropout={}, word_dropout={"rate": 1.0}, aggressive={})
    model = tiny_model().eval()
    state = part.state_dict()
    torch.manual_seed(0)
    terms = part(model, tiny_batch(), REFIT)
    torch.manual_seed(0)
    torch.testing.assert_close(terms.loss, model(**tiny_batch()).loss)
    assert part.state_dict() == state
    assert not part.freezes_encoder(REFIT)
    part.before_step(lambda steps: pytest.fail("the encoder is trained by the steps"), REFIT)


def test_weights_of_techniques_stay_in_the_graph():
    """DDP requires a gradient of every weight."""
    part = objective(bag_of_words={})
    part(tiny_model(), tiny_batch(), REFIT).loss.backward()
    assert all((weights.grad == 0).all() for weights in part.modules.parameters())


def test_only_damage_to_the_input_of_the_encoder_goes_on():
    """The encoder stays robust; the decoder reads whole sentences."""
    part = objective(denoising={}, word_dropout={})
    assert [each.settings.kind for each in part.list_corrupting(REFIT)] == ["denoising"]


def test_it_does_nothing_before_the_refit():
    """The loss of the main phase is that of the other techniques."""
    main = Progress(50, 0.5)
    losses = []
    for part in (objective(), objective(refit_posterior="off")):
        torch.manual_seed(0)
        losses.append(part(tiny_model(), tiny_batch(), main).loss)
    torch.testing.assert_close(*losses, rtol=0, atol=0)
    assert technique("refit_posterior").refit == Refit(0.1, 0.2, moves_means=True)


# The run


@pytest.fixture
def trainer(tiny_run):
    """Return a trainer on a finished run, in its refit."""
    run = Run(tiny_run)
    techniques = {**run.read_settings().objective.techniques, "refit_posterior": {}}
    settings = run.read_settings().model_copy(
        update={"objective": ObjectiveSettings(techniques=techniques)}
    )
    trainer = build_trainer(run, settings, load_bundle(tiny_run, "cpu"), torch.device("cpu"))
    trainer.create_optimizer()
    trainer.schedule.refit_start_step = 0
    return trainer


def test_gradients_of_what_stays_are_dropped_before_they_are_clipped(trainer):
    """The clipped norm is that of encoder and posterior alone, as with a frozen decoder."""
    model = trainer.bundle.model
    unchanged = {id(weights) for weights in list_unchanged_by_refit(model, trainer.schedule.refit)}
    trainer.current_gradient_accumulation_steps = 1
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.training_step(model, batch)
    for name, parameters in group_parameters(model).items():
        for parameter in parameters:
            assert (parameter.grad is None) == (id(parameter) in unchanged)
            assert (id(parameter) in unchanged) == (name not in ("encoder", "prior"))


REFITTED = {
    "objective": {"techniques": {"refit_posterior": {"share": 0.2}}},
    "training": {"steps": 20, "evaluations": 10},
}


def test_a_refitted_run_keeps_the_decoder_of_the_main_phase(tmp_path, monkeypatch):
    """The log has the KL that the refit started from, and the KL weight at the end is 1."""
    decoders = {}
    evaluate = VAETrainer.evaluate

    def note_decoder(trainer, *args, **options):
        decoder = trainer.bundle.model.decoder.state_dict()
        decoders[trainer.schedule.step] = {name: value.clone() for name, value in decoder.items()}
        return evaluate(trainer, *args, **options)

    monkeypatch.setattr(VAETrainer, "evaluate", note_decoder)
    train_tiny(tmp_path, **REFITTED)
    record = json.loads((tmp_path / "training.json").read_text())
    kls = {entry["eval_kl"]: entry["step"] for entry in record["history"] if "eval_kl" in entry}
    start = kls[record["kl_before_refit"]]
    assert start <= 16
    torch.testing.assert_close(decoders[start], decoders[20], rtol=0, atol=0)
    last_weight = [entry["kl_weight"] for entry in record["history"] if "kl_weight" in entry][-1]
    assert last_weight == pytest.approx(1.0)
    assert "KL before the posterior was refitted" in (tmp_path / "README.md").read_text()


def test_the_refit_starts_from_the_best_model_of_the_main_phase(trainer, monkeypatch):
    """With `keep = last` it starts from the last one."""
    loaded = []
    monkeypatch.setattr(VAETrainer, "_load_best_model", lambda trainer: loaded.append(True))
    trainer.schedule.step = 30
    trainer.schedule.refit_start_step = 20
    trainer.state.global_step = 20
    trainer.state.log_history = [
        {"step": 10, "eval_selection": 1.0, "eval_kl": 5.0},
        {"step": 20, "eval_selection": 2.0, "eval_kl": 6.0},
        {"step": 30, "eval_selection": 0.5, "eval_kl": 3.0},
    ]
    assert trainer.find_kl_before_refit() == 5.0
    trainer.load_refitted_model()
    assert loaded == [True]
    trainer.settings = trainer.settings.model_copy(update={"keep": "last"})
    assert trainer.find_kl_before_refit() == 6.0
    trainer.load_refitted_model()
    assert loaded == [True]


# The refit of the variances, which the default recipe has


VARIANCES = {
    "objective": {"techniques": {"target_kl": {"refit": 0.2}}},
    "training": {"steps": 20, "evaluations": 10, "keep": "last"},
}


def test_the_default_recipe_refits_the_variances_and_nothing_else(tmp_path, monkeypatch):
    """The means, and so all that is decoded from them, are those of the main phase."""
    weights = {}
    evaluate = VAETrainer.evaluate

    def note_weights(trainer, *args, **options):
        state = trainer.bundle.model.state_dict()
        weights[trainer.schedule.step] = {name: value.clone() for name, value in state.items()}
        return evaluate(trainer, *args, **options)

    monkeypatch.setattr(VAETrainer, "evaluate", note_weights)
    train_tiny(tmp_path, **VARIANCES)
    before, after = weights[16], weights[20]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"posterior.logvar.weight", "posterior.logvar.bias"}


def test_the_loss_of_the_refit_of_the_variances_is_the_negative_elbo():
    """Its objective is the ELBO on whole sentences, not what the controller has weighted."""
    part = objective(refit_posterior="off", word_dropout={"rate": 1.0})
    model = tiny_model().eval()
    torch.manual_seed(0)
    terms = part(model, tiny_batch(), REFIT)
    torch.manual_seed(0)
    torch.testing.assert_close(terms.loss, model(**tiny_batch()).loss)


@pytest.mark.parametrize("kind", ["gaussian", "batch_norm_gaussian", "flow"])
def test_the_weights_of_the_variances_do_not_move_the_means(kind):
    """So a refit of the variances leaves everything alone that is decoded from a mean."""
    posterior = built(POSTERIORS, {"kind": kind}, 6, 4, True).eval()
    pooled = draws(3, posterior.width)
    before = posterior.head(pooled)
    with torch.no_grad():
        for weights in posterior.list_variance_weights():
            weights.add_(0.3)
    after = posterior.head(pooled)
    torch.testing.assert_close(after.mean, before.mean, rtol=0, atol=0)
    assert (after.logvar != before.logvar).all()


@pytest.mark.parametrize("kind", ["delta_gaussian", "von_mises_fisher", "deterministic"])
def test_a_posterior_without_variances_of_its_own_is_not_refitted(kind):
    """Delta-VAE's means depend on its variances, and the other two have none."""
    assert built(POSTERIORS, {"kind": kind}, 6, 4, True).list_variance_weights() == []


def test_a_refit_of_the_whole_posterior_includes_that_of_the_variances():
    """With both, the run has one refit, as `refit_posterior` describes it."""
    assert objective().refit == Refit(0.1, 0.2, moves_means=True)
    assert objective(refit_posterior="off").refit.moves_means is False
    off = objective(refit_posterior="off", target_kl={"refit": 0})
    assert off.refit is None
