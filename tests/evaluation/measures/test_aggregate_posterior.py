"""The aggregate posterior's mismatch with the prior, against what is known of it."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.linear_gaussian import LATENT, NOISE, LinearGaussian, subject
from textvae.evaluation.measures import MEASURES


def measured(model):
    """Return the model's aggregate, information and ELBO in one record."""
    of = subject(model)
    return {
        key: value
        for name in ("aggregate", "information", "elbo")
        for key, value in MEASURES[name](of).items()
    }


def test_the_aggregate_of_the_exact_posterior_is_the_prior():
    """A perfect model has no mismatch."""
    record = measured(LinearGaussian(n=3000))
    assert record["aggregate_kl"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("shift", "spread"), [(0.4, 1.3), (0.0, 0.5), (1.0, 1.0)])
def test_the_mismatch_of_an_inexact_posterior_equals_its_closed_form(shift, spread):
    """Over many points q(z) is N(shift, 1 - v + v spread^2), v the exact posterior's variance."""
    model = LinearGaussian(n=4000, shift=shift, spread=spread)
    v = 1 / (1 + model.weight.square().sum(0) / NOISE**2)
    variance = 1 - v + v * spread**2
    exact = 0.5 * (shift**2 + variance - 1 - variance.log()).sum().item()
    record = measured(model)
    assert record["aggregate_kl"] == pytest.approx(
        exact, abs=4 * record["aggregate_kl_stderr"] + 0.03
    )


@pytest.mark.parametrize("n", [1, 2, 200, 1500])
def test_information_and_mismatch_add_up_to_the_kl(n):
    """On the same draws to rounding, whatever n; the closed form within the draws' error."""
    record = measured(LinearGaussian(n=n, shift=0.4, spread=1.3))
    assert record["mi_full"] + record["aggregate_kl"] == pytest.approx(
        record["kl_sampled"], abs=1e-6
    )
    if n == 1500:
        assert record["kl_sampled"] == pytest.approx(record["kl"], abs=0.12)


def test_the_mismatch_equals_a_slow_loop():
    """Every density by torch.distributions, one pair at a time; its standard error over draws."""
    of = subject(LinearGaussian(n=40, shift=0.4, spread=1.3))
    seen = of.outputs
    q = Normal(seen.mean.double(), torch.exp(0.5 * seen.posterior.logvar.double()))
    gaps = []
    for z in seen.latent.double():
        log_q = Independent(q, 1).log_prob(z).logsumexp(0) - math.log(40)
        gaps.append(log_q - Normal(0.0, 1.0).log_prob(z).sum())
    record = MEASURES["aggregate"](of)
    assert record["aggregate_kl"] == pytest.approx(float(torch.stack(gaps).mean()))
    assert record["aggregate_kl_stderr"] == pytest.approx(
        float(torch.stack(gaps).std()) / math.sqrt(40)
    )


def test_the_kl_of_each_dimension_is_its_closed_form_and_they_add_up():
    """They are what a bar chart of the latent shows."""
    model = LinearGaussian(n=300, shift=0.4, spread=1.3)
    of = subject(model)
    kl = MEASURES["aggregate"](of)["kl_by_dimension"]
    variance = of.outputs.posterior.logvar.double().exp()
    exact = 0.5 * (of.outputs.mean.double().square() + variance - 1 - variance.log()).mean(0)
    assert len(kl) == LATENT
    assert kl == pytest.approx(exact.tolist(), rel=1e-5)
    assert sum(kl) == pytest.approx(MEASURES["elbo"](of)["kl"])
