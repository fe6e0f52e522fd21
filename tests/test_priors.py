"""Priors: every entry of the table is a density with the KL it says."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.tiny import LATENT, built, draws, small
from textvae.posteriors import DiagonalGaussian
from textvae.priors import PRIORS


def prior(kind: str, latent: int = LATENT):
    torch.manual_seed(0)
    return built(PRIORS, small(PRIORS, kind), latent)


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_integrates_to_one(kind):
    """In one dimension, over a fine grid."""
    grid = torch.linspace(-12, 12, 4001).unsqueeze(1)
    assert torch.trapezoid(prior(kind, 1).log_prob(grid).exp(), grid[:, 0]).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", PRIORS)
def test_the_kl_is_the_mean_log_ratio_over_draws_of_the_posterior(kind):
    """The closed form, summed over dimensions, equals a Monte Carlo estimate."""
    part = prior(kind)
    q = DiagonalGaussian(draws(3, LATENT), 0.5 * draws(3, LATENT, seed=1))
    torch.manual_seed(0)
    z = torch.stack([q.sample() for _ in range(20_000)])
    estimate = (q.log_prob(z) - part.log_prob(z)).mean(0)
    torch.testing.assert_close(part.kl(q).sum(1), estimate, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", PRIORS)
def test_draws_come_from_the_density(kind):
    """The mean of log p over draws equals minus its entropy, found on a grid; the seed decides the draws."""
    part = prior(kind, 1)
    grid = torch.linspace(-12, 12, 4001).unsqueeze(1)
    log_density = part.log_prob(grid)
    entropy = -torch.trapezoid(log_density.exp() * log_density, grid[:, 0])
    torch.manual_seed(0)
    z = part.sample(20_000)
    assert z.shape == (20_000, 1)
    assert -part.log_prob(z).mean().item() == pytest.approx(entropy.item(), abs=0.03)
    torch.manual_seed(0)
    torch.testing.assert_close(part.sample(20_000), z, rtol=0, atol=0)


def test_the_standard_normal_kl_equals_that_of_torch_dimension_by_dimension():
    """Analytic, (batch, latent)."""
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    expected = kl_divergence(Normal(q.mean, torch.exp(0.5 * q.logvar)), Normal(0.0, 1.0))
    torch.testing.assert_close(prior("standard_normal").kl(q), expected)


def test_a_posterior_equal_to_the_prior_costs_nothing():
    """Mean 0 and variance 1: KL 0, to the last bit."""
    q = DiagonalGaussian(torch.zeros(2, LATENT), torch.zeros(2, LATENT))
    assert (prior("standard_normal").kl(q) == 0).all()
