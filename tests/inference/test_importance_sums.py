"""The sums of importance weights, and how the adaptive likelihood allocates its draws."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.linear_gaussian import LinearGaussian, build_inputs
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

UNEVEN: dict[str, Any] = {"shift": 0.6, "spread": 1.3}


def adaptively(inputs):
    return replace(inputs, settings=MeasureSettings(adaptive=True))


def test_the_sums_give_the_estimates_of_the_weights():
    """NLL, effective sample size and variance equal their definitions on the weights."""
    log_weights = 2 * draws(40, 5).double()
    sums = ImportanceSums.from_log_weights(log_weights)
    weights = log_weights.exp()
    size = weights.sum(0).square() / weights.square().sum(0)
    torch.testing.assert_close(sums.nll, -weights.mean(0).log())
    torch.testing.assert_close(sums.effective_sample_size, size)
    torch.testing.assert_close(sums.variance, weights.var(0) / weights.mean(0).square() / 40)


def test_equal_weights_have_no_error_and_all_draws_count():
    """The error of a single draw is unknown; it is 0 rather than a division by zero."""
    sums = ImportanceSums.from_log_weights(torch.zeros(7, 3))
    expected = torch.full((3,), 7.0, dtype=torch.float64)
    torch.testing.assert_close(sums.effective_sample_size, expected)
    assert sums.variance.abs().max() < 1e-12
    assert ImportanceSums.from_log_weights(torch.zeros(1, 3)).variance.eq(0).all()


def test_the_reported_monte_carlo_error_is_the_true_one():
    """The true error is the standard deviation of the estimate over thirty seeds."""
    model = LinearGaussian(n=60, **UNEVEN)
    records = [
        MEASURES["likelihood"](build_inputs(model, samples=100, seed=seed)) for seed in range(30)
    ]
    spread = torch.tensor([record["iw_nll"] for record in records]).std().item()
    reported = sum(record["iw_mc_stderr"] for record in records) / 30
    assert reported == pytest.approx(spread, rel=0.35)


def test_sentences_with_uneven_weights_get_more_draws_at_the_same_error():
    """By Neyman's formula, the sum of variation^2 / n_i stays the same."""
    sums = ImportanceSums.from_log_weights(torch.tensor([0.1, 1.0, 2.0]) * draws(5000, 3).double())
    allocated = allocate_draws(sums, 500)
    variation = (sums.variance * sums.draws).sqrt()
    assert allocated[0] < allocated[1] < allocated[2]
    torch.testing.assert_close(
        (variation.square() / allocated).sum(), variation.square().sum() / 500
    )
    assert allocated.mean() < 500


def test_adaptive_draws_come_to_the_same_estimate_and_the_same_twice():
    """The estimates agree within their errors, and draws come in whole steps."""
    inputs = build_inputs(LinearGaussian(n=80, **UNEVEN), samples=200)
    fixed = compute_sums(inputs, 200)
    adaptive = compute_adaptive_sums(adaptively(inputs))
    error = (fixed.variance.sum() + adaptive.variance.sum()).sqrt() / 80
    assert abs(fixed.nll.mean() - adaptive.nll.mean()) < 4 * error
    assert (adaptive.draws % DRAWS_STEP == 0).all()
    assert torch.equal(adaptive.nll, compute_adaptive_sums(adaptively(inputs)).nll)


def test_a_text_model_is_evaluated_adaptively():
    """The record has the number of draws."""
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
