"""Runs with every posterior and every prior: training, evaluation, uses, and loading again."""

import json
import math

import pytest
import torch

from tests.tiny_run import SENTENCES, train_tiny
from textvae.cli.rendering import format_evaluation
from textvae.errors import ConfigError
from textvae.evaluation.evaluate import evaluate_run
from textvae.model.compatibility import check_prior
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.compatibility import find_conflict
from textvae.objective.elbo import DEFAULT_TECHNIQUES, ObjectiveSettings
from textvae.runs.run import Run
from textvae.vae import TextVAE

TEXTS = ["a man rides a bike.", "the dog", "two boys hold the red ball."]
UNDEFINED = {
    "elbo",
    "kl",
    "iw_nll",
    "iw_nll_stderr",
    "ppl_word",
    "ppl_token",
    "bits_per_byte",
    "mi_full",
    "mi_batch32",
}


def is_compatible(kind: str, prior: str) -> bool:
    """Return whether a posterior and a prior can be combined."""
    try:
        check_prior(kind, prior)
    except ConfigError:
        return False
    return True


CASES = [
    (kind, next(prior for prior in PRIORS if is_compatible(kind, prior))) for kind in POSTERIORS
]
CASES += [
    ("gaussian", prior)
    for prior in PRIORS
    if not PRIORS[prior].needs_labels
    and prior != "standard_normal"
    and is_compatible("gaussian", prior)
]


@pytest.mark.parametrize(("kind", "prior"), CASES)
def test_a_run_is_trained_evaluated_and_used(kind, prior, tmp_path):
    """Measures that a posterior without a density does not define are null, never NaN."""
    defaults = ObjectiveSettings().techniques
    off = {name: "off" for name in DEFAULT_TECHNIQUES if find_conflict(kind, prior, defaults[name])}
    training = {
        "steps": 3,
        "batch_tokens": 64,
        "warmup_steps": 1,
        "evaluations": 1,
        "trackers": [],
        "logging_steps": 1,
    }
    parts = {"posterior": kind, "prior": prior}
    vae = train_tiny(
        tmp_path / "run", model=parts, objective={"techniques": off}, training=training
    )
    record = evaluate_run(Run(tmp_path / "run"), vae.bundle, samples=8)
    has_density = POSTERIORS[kind].distribution.has_density
    assert {name for name in UNDEFINED if record[name] is None} == (
        set() if has_density else UNDEFINED
    )
    assert all(math.isfinite(value) for value in record.values() if isinstance(value, int | float))
    assert ("—" in format_evaluation(record)) != has_density
    assert "NaN" not in json.dumps(record)
    assert vae.encode(TEXTS).shape == (3, 4)
    assert all(
        (score["iw_nll"] is not None) == has_density for score in vae.score(TEXTS, samples=2)
    )
    assert len(vae.generate(3)) == 3
    assert len(vae.interpolate(*TEXTS[:2], steps=3, path="spherical")) == 3
    again = TextVAE.from_pretrained(tmp_path / "run").posterior(TEXTS)
    torch.testing.assert_close(again.tensors, vae.posterior(TEXTS).tensors, rtol=0, atol=0)
    assert vae.posterior([]).mean.shape == (0, 4)


def test_the_running_statistics_are_saved_with_the_model(tmp_path):
    """The statistics that training has updated are saved with the weights."""
    vae = train_tiny(tmp_path / "run", model={"posterior": "batch_norm_gaussian"})
    loaded = TextVAE.from_pretrained(tmp_path / "run").model.posterior.running_mean
    assert (loaded != 0).all()
    torch.testing.assert_close(loaded, vae.model.posterior.running_mean, rtol=0, atol=0)
    assert len(vae.encode(SENTENCES[:5])) == 5
