"""The objective is the negative ELBO; techniques change training, but never the score."""

import json
from dataclasses import replace
from typing import Any

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
# These use random numbers before z is sampled, so their z differs.
CHANGE_INPUTS = {"word_dropout", "denoising"}
CHANGE_Q = {"denoising", "semi_amortized"}
CHANGE_Z = {"latent_dropout", "iwae"}


def objective(facts=FACTS, **techniques):
    """Return the objective with these techniques alone, with default settings if they are empty."""
    torch.manual_seed(0)  # for the techniques' own weights
    settings = read_settings(
        model={"latent_dim": LATENT}, objective={"techniques": {**NONE, **techniques}}
    )
    return Objective(resolve_auto(settings, tokens_per_sentence=12.0).objective, facts)


def terms(part):
    """Return the loss terms of a tiny model on a tiny batch."""
    torch.manual_seed(0)
    return part(tiny_model(), tiny_batch(), MIDDLE)


def record_calls(monkeypatch, part, hook):
    """Return a list that collects the arguments and the result of each call of a hook."""
    calls = []
    original = getattr(part, hook)

    def spy(*arguments):
        result = original(*arguments)
        calls.append((*arguments, result))
        return result

    monkeypatch.setattr(part, hook, spy)
    return calls


def test_without_techniques_the_loss_is_the_negative_elbo():
    """It is the loss that the model itself returns."""
    found = terms(objective())
    torch.manual_seed(0)
    output = tiny_model()(**tiny_batch())
    torch.testing.assert_close(found.loss, output.loss)
    torch.testing.assert_close(found.loss, found.reconstruction + found.kl)
    torch.testing.assert_close(found.shaped_kl, found.kl)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_logged_kl_is_not_shaped_by_any_technique(name):
    """Only `shaped_kl` and the loss are shaped; encoder and z are those of the plain objective."""
    plain = terms(objective())
    shaped = terms(objective(**{name: {}}))
    if name not in CHANGE_INPUTS | CHANGE_Q | CHANGE_Z:
        torch.testing.assert_close(shaped.reconstruction, plain.reconstruction)
    if name not in CHANGE_Q:
        torch.testing.assert_close(shaped.kl, plain.kl)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_logged_kl_is_that_of_the_posterior_z_is_sampled_from(name, monkeypatch):
    """It is so even if a technique damages the encoder's words, or refines its q."""
    part = objective(**{name: {}})
    calls = record_calls(monkeypatch, part.techniques[name], "penalty")
    found = terms(part)
    output = calls[0][0]
    kl = output.prior.kl(output.posterior, output.latent)
    torch.testing.assert_close(found.kl, kl.sum(1).mean())
    torch.testing.assert_close(output.posterior.mean, output.mean)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_loss_is_reconstruction_shaped_kl_and_penalty(name, monkeypatch):
    """The loss has no other terms."""
    part = objective(**{name: {}})
    calls = record_calls(monkeypatch, part.techniques[name], "penalty")
    found = terms(part)
    penalty = calls[0][-1]
    torch.testing.assert_close(found.loss, found.reconstruction + found.shaped_kl + penalty)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_no_technique_changes_the_reported_score(name):
    """A model has the same measures before and after a pass of the objective."""
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    before = evaluate(bundle, dataset, measures=QUICK_MEASURES)
    part = objective(replace(FACTS, vocab=len(bundle.tokenizer)), **{name: {}})
    part(bundle.model.train(), bundle.make_batch(dataset["input_ids"][:]), MIDDLE).loss.backward()
    assert evaluate(bundle, dataset, measures=QUICK_MEASURES) == before
    assert not bundle.model.training


def test_techniques_are_applied_in_the_order_of_their_table():
    """Floors come before weights, in whatever order they are written."""
    part = objective(kl_weight={"schedule": "constant", "weight": 0.5}, free_bits={"floor": 100.0})
    assert list(part.techniques) == ["free_bits", "kl_weight"]
    assert terms(part).shaped_kl.item() == pytest.approx(0.5 * 100 * LATENT)


def test_the_controller_observes_the_kl_before_it_is_shaped():
    """A free-bits floor, which is applied earlier, does not change what it observes."""
    alone = objective(target_kl={"nats": 5.0})
    floored = objective(target_kl={"nats": 5.0}, free_bits={"floor": 50.0})
    for part in (alone, floored):
        terms(part)
    assert alone.state_dict()["target_kl"] == floored.state_dict()["target_kl"]


REPLACING = [[name] for name in TECHNIQUES if TECHNIQUES[name].Settings(kind=name).replaces]
COMPATIBLE = [name for name in TECHNIQUES if not TECHNIQUES[name].Settings(kind=name).replaces]


@pytest.mark.parametrize("names", [COMPATIBLE, *REPLACING])
def test_the_state_of_all_techniques_survives_json(names):
    """A resumed objective has the same loss as one that went on."""
    entries: dict[str, Any] = {name: {} for name in names}
    whole = objective(**entries)
    resumed = objective(**entries)
    terms(whole)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    resumed.modules.load_state_dict(whole.modules.state_dict())  # a checkpoint has them, too
    torch.testing.assert_close(terms(whole).loss, terms(resumed).loss, rtol=0, atol=0)


def test_the_kl_target_is_that_of_the_technique_that_has_one():
    """It is None if no technique has one."""
    assert objective(target_kl={"nats": 5.0}, free_bits={}).kl_target == 5.0
    assert objective(free_bits={}).kl_target is None


def test_an_unknown_technique_is_refused_with_the_nearest_name():
    """The message suggests the name that was probably meant."""
    with pytest.raises(
        ConfigError,
        match=r"objective\.techniques = 'free_bit' is unknown: did you mean 'free_bits'",
    ):
        objective(free_bit={})
