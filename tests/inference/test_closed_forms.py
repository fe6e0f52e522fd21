"""The ELBO's two terms, the likelihood's error, and inequalities, on a linear-Gaussian model.

The closed forms of the bound itself, the likelihood, the mutual information, the
aggregate KL and the cost of shuffled latents are in the tests of their own files.
"""

import math
from typing import Any

import pytest
import torch

from tests.linear_gaussian import LATENT, NOISE, SPACE, LinearGaussian, build_inputs
from textvae.evaluation.measures import MEASURES, QUICK_MEASURES
from textvae.evaluation.measures.likelihood import compute_sums

INEXACT: dict[str, Any] = {"shift": 0.4, "spread": 1.3}


def exact_terms(model):
    """Return each point's E_q[-log p(x | z)] and KL(q || p), (n,), by their formulas."""
    ids = torch.arange(4, 4 + len(model.points)).unsqueeze(1)
    q = model.encode(ids, torch.ones_like(ids))
    variance = q.logvar.exp()
    error_of_mean = (model.points - q.mean @ model.weight.t()).square().sum(1)
    error = error_of_mean + variance @ model.weight.square().sum(0)
    reconstruction = 0.5 * error / NOISE**2 + 0.5 * SPACE * math.log(2 * math.pi * NOISE**2)
    return reconstruction, 0.5 * (q.mean.square() + variance - 1 - q.logvar).sum(1)


def test_reconstruction_and_kl_equal_their_closed_forms():
    """The KL is equal up to rounding, the reconstruction within the error of its draws."""
    model = LinearGaussian(n=4000, **INEXACT)
    record = MEASURES["elbo"](build_inputs(model))
    reconstruction, kl = exact_terms(model)
    assert record["kl"] == pytest.approx(kl.mean().item(), rel=1e-5)
    assert record["reconstruction"] == pytest.approx(reconstruction.mean().item(), abs=0.08)


def test_the_closed_forms_give_the_exact_bound():
    """With the exact posterior, the two terms add up to -log p(x) of each point."""
    model = LinearGaussian(n=50)
    torch.testing.assert_close(sum(exact_terms(model)), -model.log_evidence(), rtol=1e-4, atol=1e-4)


def test_the_standard_error_is_the_spread_of_estimates_of_the_likelihood():
    """At least 90% of data sets from the model are within two standard errors of the entropy."""
    covariance = LinearGaussian(n=1).weight
    covariance = covariance @ covariance.t() + NOISE**2 * torch.eye(SPACE)
    entropy = 0.5 * torch.logdet(2 * math.pi * math.e * covariance).item()
    within = 0
    for seed in range(40):
        record = MEASURES["likelihood"](
            build_inputs(LinearGaussian(n=100, seed=2 * seed), samples=1)
        )
        within += abs(record["iw_nll"] - entropy) <= 2 * record["iw_nll_stderr"]
    assert within >= 36


@pytest.mark.parametrize("changes", [{}, INEXACT, {"scale": (0.0, 0.0)}, {"spread": 0.3}])
def test_the_inequalities_between_measures_hold(changes):
    """IW-NLL <= -ELBO, and the mutual information is below its caps and the KL."""
    inputs = build_inputs(LinearGaussian(n=1000, **changes), samples=50)
    record = {}
    for measure in QUICK_MEASURES.values():
        record.update(measure(inputs))
    nll = compute_sums(inputs, inputs.importance_samples).nll.mean().item()
    assert nll <= -record["elbo"] + 0.1
    assert record["mi_full"] <= record["mi_full_cap"]
    assert record["mi_batch32"] <= record["mi_batch32_cap"]
    assert record["mi_full"] <= MEASURES["aggregate"](inputs)["kl_sampled"] + 0.05


@pytest.mark.parametrize(
    ("scale", "active"), [((0.0, 0.0), 0), ((1.5, 0.0), 1), ((1.5, 0.7), 2), ((1.5, 0.04), 1)]
)
def test_active_units_are_those_whose_mean_varies_by_the_closed_form(scale, active):
    """The variance of the mean is s^2 / (s^2 + noise^2): 0.0025 for a scale of 0.04."""
    inputs = build_inputs(LinearGaussian(n=2000, scale=scale))
    record = MEASURES["active_units"](inputs)
    assert record["active_units"] == active
    exact = [s**2 / (s**2 + NOISE**2) for s in scale]
    assert inputs.outputs.mean.var(0).tolist() == pytest.approx(exact, rel=0.15)
    assert record["latent_dim"] == LATENT
