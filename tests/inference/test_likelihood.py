"""The likelihood and the ELBO of a linear-Gaussian model, where both are known exactly."""

import math
import sys
from typing import Any

import pytest
import torch

from tests.linear_gaussian import LinearGaussian, build_inputs
from textvae.evaluation.measures import MEASURES
from textvae.evaluation.measures.likelihood import compute_sums, safe_exp

INEXACT: dict[str, Any] = {"shift": 0.4, "spread": 1.3}


def nll(inputs, samples):
    return compute_sums(inputs, samples).nll


@pytest.mark.parametrize("samples", [1, 3, 50])
def test_with_the_exact_posterior_every_estimate_is_exact(samples):
    """Then log p(x, z) - log q(z | x) is log p(x) for every z, so there is no variance."""
    model = LinearGaussian()
    estimate = nll(build_inputs(model), samples)
    torch.testing.assert_close(estimate, -model.log_evidence().double(), rtol=1e-4, atol=1e-4)


def test_with_an_inexact_posterior_many_samples_come_to_the_truth():
    """The mean over points is within 0.01 nats of the exact one."""
    model = LinearGaussian(**INEXACT)
    assert nll(build_inputs(model), 2000).mean().item() == pytest.approx(
        -model.log_evidence().mean().item(), abs=0.01
    )


def test_the_bound_tightens_with_samples_and_stays_above_the_truth():
    """On average, -ELBO > IW-NLL(2) > IW-NLL(8) > IW-NLL(64) > -log p(x)."""
    model = LinearGaussian(n=500, **INEXACT)
    inputs = build_inputs(model)
    bounds = [-MEASURES["elbo"](inputs)["elbo"]]
    bounds += [nll(inputs, samples).mean().item() for samples in (2, 8, 64)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > -model.log_evidence().mean().item() - 0.01


def test_one_importance_sample_is_an_estimate_of_the_elbo():
    """Averaged over many points, the two agree."""
    inputs = build_inputs(LinearGaussian(n=4000, **INEXACT))
    assert nll(inputs, 1).mean().item() == pytest.approx(
        -MEASURES["elbo"](inputs)["elbo"], abs=0.05
    )


def test_the_elbo_of_an_inexact_posterior_equals_its_closed_form():
    """It is log p(x) - KL(q || exact posterior), averaged over many points."""
    model = LinearGaussian(n=4000, **INEXACT)
    variance = 1 / (1 + model.weight.square().sum(0) / 0.64)
    gap = 0.5 * (0.4**2 / variance + 1.3**2 - 1 - math.log(1.3**2)).sum()
    expected = model.log_evidence().mean().item() - gap.item()
    assert MEASURES["elbo"](build_inputs(model))["elbo"] == pytest.approx(expected, abs=0.06)


def test_the_elbo_is_minus_reconstruction_minus_kl():
    """The KL has weight 1."""
    record = MEASURES["elbo"](build_inputs(LinearGaussian()))
    assert record["elbo"] == pytest.approx(-record["reconstruction"] - record["kl"])


def test_sampling_in_portions_changes_nothing(monkeypatch):
    """The estimate is the same when only a few rows go through the decoder at once."""
    inputs = build_inputs(LinearGaussian(n=20, **INEXACT))
    at_once = nll(inputs, 30)
    monkeypatch.setattr(sys.modules["textvae.inference.likelihood"], "_MAX_DECODER_TOKENS", 70)
    torch.testing.assert_close(nll(inputs, 30), at_once)


def test_each_likelihood_is_in_the_row_of_its_sentence():
    """Batches come in another order than the data set, but each value returns to its row."""
    model = LinearGaussian()
    inputs = build_inputs(model)
    assert nll(inputs, 1).argmax() == (-model.log_evidence()).argmax()


def test_the_perplexities_are_the_likelihood_in_other_units():
    """Perplexities count ends as tokens and words; bits per byte do not count ends."""
    inputs = build_inputs(LinearGaussian(**INEXACT))
    record = MEASURES["likelihood"](inputs)
    data = inputs.dataset
    n = len(data)
    total = record["iw_nll"] * n
    assert math.log(record["ppl_token"]) * (sum(data["length"]) + n) == pytest.approx(total)
    assert math.log(record["ppl_word"]) * (sum(data["words"]) + n) == pytest.approx(total)
    assert record["bits_per_byte"] * math.log(2) * sum(data["bytes"]) == pytest.approx(total)


def test_the_standard_error_is_that_over_sentences():
    """It is the standard deviation divided by the root of n, and 0 for a single sentence."""
    inputs = build_inputs(LinearGaussian(), samples=1)
    expected = nll(inputs, 1).std().item() / math.sqrt(200)
    assert MEASURES["likelihood"](inputs)["iw_nll_stderr"] == pytest.approx(expected, rel=1e-4)
    assert MEASURES["likelihood"](build_inputs(LinearGaussian(n=1)))["iw_nll_stderr"] == 0


def test_the_likelihood_is_repeatable_and_leaves_the_global_generator_alone():
    """The measure uses a seed of its own."""
    inputs = build_inputs(LinearGaussian(**INEXACT))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = MEASURES["likelihood"](inputs)
    assert torch.equal(torch.rand(1), expected)
    assert MEASURES["likelihood"](inputs) == first


def test_a_perplexity_too_large_for_a_number_is_infinite():
    """Otherwise a long evaluation would end in an error."""
    assert safe_exp(1e4) == math.inf
    assert safe_exp(1.0) == pytest.approx(math.e)
