"""The fitted mixture of Gaussians, against densities that are known."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.tiny import draws
from textvae.evaluation.measures.latent_density import GaussianMixture


def test_few_latents_get_one_gaussian_with_their_moments():
    """Its covariance is shrunk towards a diagonal, the less the more latents there are."""
    z = draws(400, 3) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]) + 1.0
    mixture = GaussianMixture.fit(z)
    exact = MultivariateNormal(z.mean(0).double(), torch.cov(z.t().double(), correction=0))
    assert len(mixture.means) == 1
    torch.testing.assert_close(mixture.log_prob(z), exact.log_prob(z.double()), atol=0.05, rtol=0)


def test_two_clusters_get_a_density_near_the_true_one():
    """The gap between log r and the truth on fresh latents is a divergence: small, not negative."""

    def sample(n, seed):
        side = torch.where(draws(n, 1, seed=seed + 50) > 0, 4.0, -4.0)
        return torch.cat([side, torch.zeros(n, 1)], 1) + draws(n, 2, seed=seed)

    fresh = sample(4000, 1).double()
    offset = torch.tensor([4.0, 0.0]).double()
    unit = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    truth = torch.logaddexp(unit.log_prob(fresh - offset), unit.log_prob(fresh + offset))
    gap = (truth - math.log(2) - GaussianMixture.fit(sample(4000, 2)).log_prob(fresh)).mean()
    assert -0.01 < float(gap) < 0.05


@pytest.mark.parametrize("z", [torch.zeros(1, 3), torch.zeros(900, 3), draws(2, 8)])
def test_latents_without_a_covariance_have_a_finite_density(z):
    """Equal latents, or fewer than dimensions, give no singular matrix."""
    mixture = GaussianMixture.fit(z)
    assert torch.isfinite(mixture.log_prob(draws(5, z.shape[1]))).all()
