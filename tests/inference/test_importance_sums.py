"""Importance weights as sums, and how an adaptive likelihood gives out its draws."""

from dataclasses import replace

import pytest
import torch

from tests.linear_gaussian import LinearGaussian, subject
from tests.tiny import draws, tiny_dataset, tiny_vae
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import MEASURES, MeasureSettings
from textvae.evaluation.measures.likelihood import (
    DRAWS_STEP,
    allocate_draws,
    compute_adaptive_sums,
    compute_sums,
)
from textvae.inference.importance_sums import ImportanceSums

UNEVEN = {"shift": 0.6, "spread": 1.3}


def adaptively(of):
    return replace(of, settings=MeasureSettings(adaptive=True))


def test_the_sums_say_what_the_weights_say():
    """NLL, effective sample size and variance, by their definitions on the weights themselves."""
    log_weights = 2 * draws(40, 5).double()
    sums, weights = ImportanceSums.of(log_weights), log_weights.exp()
    torch.testing.assert_close(sums.nll, -weights.mean(0).log())
    torch.testing.assert_close(sums.effective, weights.sum(0).square() / weights.square().sum(0))
    torch.testing.assert_close(sums.variance, weights.var(0) / weights.mean(0).square() / 40)


def test_equal_weights_have_no_error_and_all_draws_count():
    """And of one draw the error is not known: 0, not a division by zero."""
    sums = ImportanceSums.of(torch.zeros(7, 3))
    torch.testing.assert_close(sums.effective, torch.full((3,), 7.0, dtype=torch.float64))
    assert sums.variance.abs().max() < 1e-12
    assert ImportanceSums.of(torch.zeros(1, 3)).variance.eq(0).all()


def test_the_monte_carlo_error_that_is_told_is_the_one_there_is():
    """The spread of the estimate over thirty seeds."""
    model = LinearGaussian(n=60, **UNEVEN)
    records = [MEASURES["likelihood"](subject(model, samples=100, seed=seed)) for seed in range(30)]
    spread = torch.tensor([record["iw_nll"] for record in records]).std().item()
    told = sum(record["iw_mc_stderr"] for record in records) / 30
    assert told == pytest.approx(spread, rel=0.35)


def test_draws_go_where_the_weights_are_uneven_and_their_error_is_that_of_even_ones():
    """By Neyman's formula: the sum of variation^2 / n_i is kept."""
    sums = ImportanceSums.of(torch.tensor([0.1, 1.0, 2.0]) * draws(5000, 3).double())
    wanted, variation = allocate_draws(sums, 500), (sums.variance * sums.draws).sqrt()
    assert wanted[0] < wanted[1] < wanted[2]
    torch.testing.assert_close((variation.square() / wanted).sum(), variation.square().sum() / 500)
    assert wanted.mean() < 500


def test_adaptive_draws_come_to_the_same_estimate_and_the_same_twice():
    """Within their errors; in whole steps."""
    of = subject(LinearGaussian(n=80, **UNEVEN), samples=200)
    fixed, adaptive = compute_sums(of, 200), compute_adaptive_sums(adaptively(of))
    error = (fixed.variance.sum() + adaptive.variance.sum()).sqrt() / 80
    assert abs(fixed.nll.mean() - adaptive.nll.mean()) < 4 * error
    assert (adaptive.draws % DRAWS_STEP == 0).all()
    assert torch.equal(adaptive.nll, compute_adaptive_sums(adaptively(of)).nll)


def test_a_text_model_is_measured_adaptively():
    """From end to end, with what it took in the record."""
    vae = tiny_vae()
    record = evaluate(
        vae.bundle,
        tiny_dataset(vae.bundle),
        60,
        ["elbo", "likelihood"],
        settings=MeasureSettings(adaptive=True),
    )
    assert record["iw_samples"] >= DRAWS_STEP
    assert record["iw_nll"] <= -record["elbo"] + 1
