"""Mutual information, active units and shuffled latents, against what is known of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.linear_gaussian import LATENT, NOISE, LinearGaussian, subject
from tests.tiny import draws
from textvae.evaluation.measures import MEASURES, ModelOutputs
from textvae.evaluation.measures.mutual_information import (
    DENSITY_ROWS_AT_ONCE,
    estimate_mutual_information,
)
from textvae.model.posteriors import DiagonalGaussian


def evidence(mean, logvar, seed=5):
    """Return the evidence of these posteriors, with one draw each."""
    n = len(mean)
    latent = mean + torch.exp(0.5 * logvar) * draws(*mean.shape, seed=seed)
    ones = torch.ones(n)
    return ModelOutputs(
        DiagonalGaussian(mean, logvar), latent, torch.zeros_like(mean), ones, ones, ones, ones
    )


def information(of):
    return MEASURES["information"](replace(subject(LinearGaussian(n=2)), evidence=of))


def spread_out(n, between, within):
    """Return posteriors whose means vary by `between` and whose own standard deviation is `within`."""
    mean = between * draws(n, 2)
    return evidence(mean, torch.full_like(mean, 2 * math.log(within)))


def test_the_densities_of_all_pairs_equal_a_slow_loop():
    """They are log q(z_i | x_j), here by torch.distributions, one pair at a time."""
    z, mean, logvar = (
        draws(5, 3).double(),
        draws(7, 3, seed=1).double(),
        draws(7, 3, seed=2).double(),
    )
    slow = [
        [
            Independent(Normal(m, torch.exp(0.5 * v)), 1).log_prob(row)
            for m, v in zip(mean, logvar, strict=True)
        ]
        for row in z
    ]
    torch.testing.assert_close(
        DiagonalGaussian(mean, logvar).log_prob_pairs(z),
        torch.tensor(slow).double(),
        rtol=1e-6,
        atol=1e-6,
    )


def test_the_information_equals_a_slow_loop():
    """The mean of log q(z | x) - log q(z), q(z) the average of the posteriors."""
    of = spread_out(40, 1.0, 0.5)
    table = of.posterior.map(torch.Tensor.double).log_prob_pairs(of.latent.double())
    slow = [
        float(table[i, i]) - math.log(sum(math.exp(value) for value in table[i]) / 40)
        for i in range(40)
    ]
    assert estimate_mutual_information(of, slice(0, 40)) == pytest.approx(sum(slow) / 40)


@pytest.mark.parametrize(("between", "within"), [(0.5, 1.0), (1.0, 1.0), (1.5, 0.5)])
def test_the_information_of_a_gaussian_channel_equals_its_closed_form(between, within):
    """I = sum over dimensions of ln(1 + between^2 / within^2) / 2, for many sentences."""
    of = information(spread_out(3 * DENSITY_ROWS_AT_ONCE + 5, between, within))
    exact = 2 * 0.5 * math.log(1 + between**2 / within**2)
    assert of["mi_full"] == pytest.approx(exact, abs=0.06)
    assert of["mi_batch32"] <= of["mi_full"] + 0.05


def test_the_information_of_the_exact_posterior_is_that_between_x_and_z():
    """That is ln det(I + W'W / noise^2) / 2."""
    model = LinearGaussian(n=3000)
    exact = 0.5 * torch.log(1 + model.weight.square().sum(0) / NOISE**2).sum()
    assert MEASURES["information"](subject(model))["mi_full"] == pytest.approx(
        exact.item(), abs=0.06
    )


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 500])
def test_no_estimate_exceeds_its_cap(n):
    """Even where every sentence has a place of its own, far from all others, and with any number of sentences."""
    record = information(spread_out(n, 1000.0, 0.01))
    assert record["mi_full"] <= record["mi_full_cap"] + 1e-9
    assert record["mi_batch32"] <= record["mi_batch32_cap"] + 1e-9
    assert record["mi_full_cap"] == pytest.approx(math.log(n))
    assert record["mi_batch32_cap"] == pytest.approx(math.log(min(n, 32)))
    assert record["mi_full"] == pytest.approx(math.log(n), abs=1e-6)


def test_a_collapsed_posterior_tells_nothing():
    """When all posteriors are the prior, both estimates are 0."""
    record = information(evidence(torch.zeros(100, 3), torch.zeros(100, 3)))
    assert record["mi_full"] == pytest.approx(0, abs=1e-9)
    assert record["mi_batch32"] == pytest.approx(0, abs=1e-9)


def test_active_units_are_the_dimensions_whose_mean_varies():
    """Variance (n - 1) of at least 0.01: just below is not active, just above is."""
    mean = draws(50, 6)
    mean = (mean - mean.mean(0)) / mean.std(0)
    mean = mean * torch.tensor([0.0, 0.0099, 0.0101, 1.0, 0.0, 25.0]).sqrt() + 3.0
    of = replace(subject(LinearGaussian(n=2)), evidence=evidence(mean, draws(50, 6)))
    record = MEASURES["active_units"](of)
    assert (record["active_units"], record["latent_dim"]) == (3, 6)
    curve = dict(zip(record["active_units_thresholds"], record["active_units_curve"], strict=True))
    assert curve == {
        1e-4: 4,
        3e-4: 4,
        1e-3: 4,
        3e-3: 4,
        1e-2: 3,
        3e-2: 2,
        0.1: 2,
        0.3: 2,
        1.0: curve[1.0],
    }
    assert 1 <= curve[1.0] <= 2  # one of them has a variance of 1, to rounding


def test_a_decoder_that_ignores_the_latent_loses_nothing_by_another_one():
    """The increase is 0."""
    model = LinearGaussian(scale=(0.0, 0.0))
    assert MEASURES["shuffled_latent"](subject(model))["shuffled_latent_increase"] == pytest.approx(
        0, abs=1e-5
    )


def test_another_latent_costs_what_the_closed_form_says():
    """With the exact posterior, E|x - Wz'|^2 - E|x - Wz|^2 = 2 tr(W'W) for an independent z'."""
    model = LinearGaussian(n=4000)
    expected = model.weight.square().sum().item() / NOISE**2
    assert MEASURES["shuffled_latent"](subject(model))["shuffled_latent_increase"] == pytest.approx(
        expected, rel=0.05
    )


def test_nobody_keeps_their_own_latent():
    """With two sentences far apart, both pay."""
    model = LinearGaussian(n=2)
    model.points = torch.tensor([[30.0, 0.0, 0.0], [-30.0, 0.0, 0.0]])
    assert MEASURES["shuffled_latent"](subject(model))["shuffled_latent_increase"] > 100


def test_the_evidence_is_in_the_order_of_the_data_set():
    """Whatever order the batches came in."""
    model = LinearGaussian()
    ids = 4 + torch.arange(200).unsqueeze(1)
    q = model.encode(ids, torch.ones_like(ids))
    found = subject(model).outputs
    torch.testing.assert_close(found.mean, q.mean)
    torch.testing.assert_close(found.kl, model.prior.kl(q, found.latent))
    assert found.latent.shape == (200, LATENT)
