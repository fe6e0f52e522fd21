"""The aggregate KL against its closed form, a slow loop, and its sum with the information."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.linear_gaussian import LATENT, NOISE, LinearGaussian, build_inputs
from tests.tiny import tiny_dataset, tiny_vae
from textvae.evaluation.measures import MEASURES, EvaluationInput, MeasureSettings, run_model
from textvae.evaluation.measures.aggregate_posterior import (
    _build_bracket,
    bound_from_below,
    estimate_information,
)
from textvae.evaluation.measures.mutual_information import is_at_cap
from textvae.model.posteriors import DiagonalGaussian


def evaluate(model):
    """Return the aggregate KL, the information and the ELBO of a model in one record."""
    inputs = build_inputs(model)
    record = {}
    for name in ("aggregate", "information", "elbo"):
        record.update(MEASURES[name](inputs))
    return record


def test_the_aggregate_of_the_exact_posterior_is_the_prior():
    """The aggregate KL of a perfect model is 0."""
    record = evaluate(LinearGaussian(n=3000))
    assert record["aggregate_kl"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("shift", "spread"), [(0.4, 1.3), (0.0, 0.5), (1.0, 1.0)])
def test_the_aggregate_kl_of_an_inexact_posterior_equals_its_closed_form(shift, spread):
    """Over many points, q(z) is N(shift, 1 - v + v spread^2) with the exact variance v."""
    model = LinearGaussian(n=4000, shift=shift, spread=spread)
    v = 1 / (1 + model.weight.square().sum(0) / NOISE**2)
    variance = 1 - v + v * spread**2
    exact = 0.5 * (shift**2 + variance - 1 - variance.log()).sum().item()
    record = evaluate(model)
    tolerance = 4 * record["aggregate_kl_stderr"] + 0.03
    assert record["aggregate_kl"] == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("n", [1, 2, 200, 1500])
def test_information_and_aggregate_kl_add_up_to_the_kl(n):
    """For every n, they do on the same draws; the exact KL is within the error of the draws."""
    record = evaluate(LinearGaussian(n=n, shift=0.4, spread=1.3))
    total = record["mi_full"] + record["aggregate_kl"]
    assert total == pytest.approx(record["kl_sampled"], abs=1e-6)
    if n == 1500:
        assert record["kl_sampled"] == pytest.approx(record["kl"], abs=0.12)


def test_the_aggregate_kl_equals_a_slow_loop():
    """The loop takes each density from torch.distributions, one pair at a time."""
    inputs = build_inputs(LinearGaussian(n=40, shift=0.4, spread=1.3))
    outputs = inputs.outputs
    assert isinstance(outputs.posterior, DiagonalGaussian)
    q = Normal(outputs.mean.double(), torch.exp(0.5 * outputs.posterior.logvar.double()))
    differences = []
    for z in outputs.latent.double():
        log_q = Independent(q, 1).log_prob(z).logsumexp(0) - math.log(40)
        differences.append(log_q - Normal(0.0, 1.0).log_prob(z).sum())
    record = MEASURES["aggregate"](inputs)
    values = torch.stack(differences)
    assert record["aggregate_kl"] == pytest.approx(float(values.mean()))
    assert record["aggregate_kl_stderr"] == pytest.approx(float(values.std()) / math.sqrt(40))


def evaluate_bracket(model, reference=None):
    """Return the bracket of a model's aggregate KL, with the posteriors of another model in q(z)."""
    inputs = build_inputs(model)
    outputs = inputs.outputs
    own = outputs.posterior.map(torch.Tensor.double).log_prob(outputs.latent.double())
    log_prior = inputs.bundle.prior.log_prob(outputs.latent).double()
    others = None if reference is None else build_inputs(reference).outputs.posterior
    lower = bound_from_below(outputs, log_prior, others, seed=0)
    information = estimate_information(outputs, own, others)
    return lower, float((own - log_prior).mean()) - information


SHARP = (30.0, 20.0)  # columns of W: z follows from x, and 7 nats pass through each dimension


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_the_bracket_holds_where_the_information_is_at_its_cap(shift):
    """The aggregate KL of 400 sharp posteriors is in it, and more sentences make it smaller."""
    model = LinearGaussian(n=400, scale=SHARP, shift=shift)
    record = evaluate(model)
    assert is_at_cap(record["mi_full"], record["mi_full_cap"])
    exact = 0.5 * LATENT * shift**2
    many = LinearGaussian(n=4000, scale=SHARP, shift=shift, seed=7)
    lower, upper = evaluate_bracket(model, many)
    assert lower == pytest.approx(exact, abs=0.3)  # 400 draws are not exactly the average
    assert exact < upper < record["aggregate_kl"] - 1


def test_without_a_reference_the_bracket_is_that_of_the_sentences_alone():
    """The density is then fitted to one half of the draws for the other half."""
    model = LinearGaussian(n=400, scale=SHARP, shift=1.5)
    record = evaluate(model)
    assert record["aggregate_kl_upper"] == pytest.approx(record["aggregate_kl"])
    assert record["aggregate_kl_lower"] == pytest.approx(1.5**2, abs=0.3)
    assert record["aggregate_sentences"] == 400


def test_copies_of_sentences_do_not_raise_the_lower_bound():
    """A copy has the draw of its sentence, to which the density must not be fitted."""
    z = torch.randn(400, 8)
    outputs: Any = SimpleNamespace(
        latent=z.repeat(2, 1), posterior=SimpleNamespace(is_spherical=False)
    )
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(outputs.latent).sum(1)
    assert bound_from_below(outputs, log_prior, None, seed=0) < 0.05
    outputs.latent = z[:1].repeat(8, 1)
    assert bound_from_below(outputs, log_prior[:8], None, seed=0) == 0.0


def test_the_brackets_of_information_and_aggregate_kl_add_up_to_the_kl():
    """The information is largest where the aggregate KL is smallest."""
    record = evaluate(LinearGaussian(n=300, shift=0.4))
    for information, mismatch in (("mi_lower", "upper"), ("mi_upper", "lower")):
        total = record[information] + record[f"aggregate_kl_{mismatch}"]
        assert total == pytest.approx(record["kl_sampled"])


@pytest.mark.parametrize(("lower", "upper"), [(2.0, 1.5), (0.2, 0.0)])
def test_bounds_that_contradict_each_other_are_no_bracket(lower, upper):
    """They would be of zero width, and look certain."""
    assert set(_build_bracket(lower, upper, 5.0).values()) == {None}


def test_bounds_that_noise_has_exchanged_are_one_number():
    """The lower one is then the upper one."""
    bracket = _build_bracket(1.05, 1.0, 5.0)
    assert bracket["aggregate_kl_lower"] == bracket["aggregate_kl_upper"] == 1.0
    assert bracket["mi_lower"] == bracket["mi_upper"] == 4.0


def test_training_sentences_are_a_part_of_the_bracket():
    """They are evenly spaced, and their number is a setting."""
    bundle = tiny_vae().bundle
    dataset = tiny_dataset(bundle)
    inputs = EvaluationInput(
        bundle,
        dataset,
        run_model(bundle, dataset),
        1,
        0,
        progress=False,
        training=["a child sings", "two dogs run ."] * 9,
        settings=MeasureSettings(aggregate_sentences=8),
    )
    assert MEASURES["aggregate"](inputs)["aggregate_sentences"] == 6 + 8


def test_the_kl_of_each_dimension_is_its_closed_form_and_they_add_up():
    """They add up to the KL of the ELBO."""
    inputs = build_inputs(LinearGaussian(n=300, shift=0.4, spread=1.3))
    kl = MEASURES["aggregate"](inputs)["kl_by_dimension"]
    assert isinstance(inputs.outputs.posterior, DiagonalGaussian)
    variance = inputs.outputs.posterior.logvar.double().exp()
    mean = inputs.outputs.mean.double()
    exact = 0.5 * (mean.square() + variance - 1 - variance.log()).mean(0)
    assert len(kl) == LATENT
    assert kl == pytest.approx(exact.tolist(), rel=1e-5)
    assert sum(kl) == pytest.approx(MEASURES["elbo"](inputs)["kl"])


def test_the_prior_is_that_of_the_label_if_all_sentences_share_one():
    """The KL on the draws is then close to the closed form, which uses that prior as well."""
    bundle = tiny_vae(labels={"calm": 3, "wild": 1}).with_label("wild").bundle
    dataset = tiny_dataset(bundle)
    outputs = run_model(bundle, dataset)
    inputs = EvaluationInput(bundle, dataset, outputs, 1, 0, progress=False)
    prior = bundle.model.prior.conditional_on(torch.tensor([1]))
    log_ratio = outputs.posterior.log_prob(outputs.latent) - prior.log_prob(outputs.latent)
    record = MEASURES["aggregate"](inputs)
    assert record["kl_sampled"] == pytest.approx(float(log_ratio.detach().mean()), rel=1e-4)
