"""The objective: the negative ELBO, and that techniques change training but never the score."""

import json
from dataclasses import replace

import pytest
import torch

from tests.tiny import (
    BOS,
    EOS,
    LATENT,
    PAD,
    UNKNOWN,
    VOCAB,
    tiny_batch,
    tiny_dataset,
    tiny_model,
    tiny_vae,
)
from textvae.errors import ConfigError
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import QUICK_MEASURES
from textvae.objective.elbo import Objective
from textvae.objective.techniques import TECHNIQUES, ModelFacts, Progress
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings

FACTS = ModelFacts(
    latent=LATENT, vocab=VOCAB, start_id=BOS, blank_id=UNKNOWN, end_id=EOS, pad_id=PAD
)
MIDDLE = Progress(step=50, fraction=0.5)
NONE = dict.fromkeys(TECHNIQUES, "off")
CHANGE_WHAT_IS_READ = {
    "word_dropout",
    "denoising",
}  # their random numbers come before the draw of z
CHANGE_Q = {"denoising", "semi_amortized"}
CHANGE_Z = {"latent_dropout", "iwae"}


def objective(facts=FACTS, **techniques):
    """Return the objective with these techniques alone, at their defaults where nothing is said."""
    torch.manual_seed(0)  # for weights of their own
    given = {"model": {"latent_dim": LATENT}, "objective": {"techniques": {**NONE, **techniques}}}
    return Objective(
        resolve_auto(read_settings(**given), tokens_per_sentence=12.0).objective, facts
    )


def terms(of, batch=None):
    torch.manual_seed(0)
    return of(tiny_model(), tiny_batch() if batch is None else batch, MIDDLE)


def spied(monkeypatch, part, hook):
    """Return a list that fills with what a technique's hook is given, and last what it returns."""
    seen, original = [], getattr(part, hook)

    def spy(*given):
        seen.append((*given, original(*given)))
        return seen[-1][-1]

    monkeypatch.setattr(part, hook, spy)
    return seen


def test_without_techniques_the_loss_is_the_negative_elbo():
    """What the model itself returns."""
    found = terms(objective())
    torch.manual_seed(0)
    output = tiny_model()(**tiny_batch())
    torch.testing.assert_close(found.loss, output.loss)
    torch.testing.assert_close(found.loss, found.reconstruction + found.kl)
    torch.testing.assert_close(found.shaped_kl, found.kl)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_kl_that_is_logged_is_the_true_one_under_every_technique(name):
    """Only `shaped_kl` and the loss are shaped; encoder and z are those of the plain objective."""
    plain, shaped = terms(objective()), terms(objective(**{name: {}}))
    if name not in CHANGE_WHAT_IS_READ | CHANGE_Q | CHANGE_Z:
        torch.testing.assert_close(shaped.reconstruction, plain.reconstruction)
    if name not in CHANGE_Q:
        torch.testing.assert_close(shaped.kl, plain.kl)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_kl_that_is_logged_is_that_of_the_q_that_z_is_drawn_from(name, monkeypatch):
    """Also where a technique shows the encoder other words, or refines its q."""
    part = objective(**{name: {}})
    seen = spied(monkeypatch, part.techniques[name], "penalty")
    found = terms(part)
    output = seen[0][0]
    torch.testing.assert_close(
        found.kl, output.prior.kl(output.posterior, output.latent).sum(1).mean()
    )
    torch.testing.assert_close(output.posterior.mean, output.mean)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_loss_is_reconstruction_paid_kl_and_penalties(name, monkeypatch):
    """Nothing else is minimised."""
    part = objective(**{name: {}})
    seen = spied(monkeypatch, part.techniques[name], "penalty")
    found = terms(part)
    torch.testing.assert_close(found.loss, found.reconstruction + found.shaped_kl + seen[0][-1])


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_reported_score_is_untouched_by_every_technique(name):
    """A model measures the same before and after the objective has looked at a batch."""
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    before = evaluate(bundle, dataset, measures=QUICK_MEASURES)
    part = objective(replace(FACTS, vocab=len(bundle.tokenizer)), **{name: {}})
    part(bundle.model.train(), bundle.make_batch(dataset["input_ids"][:]), MIDDLE).loss.backward()
    assert evaluate(bundle, dataset, measures=QUICK_MEASURES) == before
    assert not bundle.model.training


def test_techniques_are_applied_in_the_order_of_their_table():
    """Floors before weights, in whatever order they are written."""
    part = objective(kl_weight={"schedule": "constant", "weight": 0.5}, free_bits={"floor": 100.0})
    assert list(part.techniques) == ["free_bits", "kl_weight"]
    assert terms(part).shaped_kl.item() == pytest.approx(0.5 * 100 * LATENT)


def test_the_controller_watches_the_true_kl_not_the_shaped_one():
    """Free bits in front of it do not fool it."""
    alone, floored = (
        objective(target_kl={"nats": 5.0}),
        objective(target_kl={"nats": 5.0}, free_bits={"floor": 50.0}),
    )
    for part in (alone, floored):
        terms(part)
    assert alone.state_dict()["target_kl"] == floored.state_dict()["target_kl"]


@pytest.mark.parametrize(
    "own", [None, *(name for name in TECHNIQUES if TECHNIQUES[name].Settings().replaced_terms)]
)
def test_the_state_of_all_techniques_survives_json(own):
    """A resumed objective pays the same: all that go with the ELBO together, each of the others by itself."""
    together = [name for name in TECHNIQUES if not TECHNIQUES[name].Settings().replaced_terms]
    names = {name: {} for name in ([own] if own else together)}
    whole, resumed = objective(**names), objective(**names)
    terms(whole)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    torch.testing.assert_close(terms(whole).loss, terms(resumed).loss, rtol=0, atol=0)


def test_the_target_is_that_of_the_technique_that_steers():
    """Or none."""
    assert objective(target_kl={"nats": 5.0}, free_bits={}).kl_target == 5.0
    assert objective(free_bits={}).kl_target is None


def test_an_unknown_technique_is_refused_with_the_nearest():
    """The message says which was probably meant."""
    with pytest.raises(
        ConfigError,
        match=r"objective\.techniques = 'free_bit' is unknown: did you mean 'free_bits'",
    ):
        objective(free_bit={})
