"""Priors: every entry of the table is a density with the KL it says."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from tests.model.posteriors.test_posteriors import HIDDEN, MASK, posterior
from tests.tiny import LATENT, built, draws, small
from textvae.errors import ConfigError
from textvae.model.compatibility import check_prior
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian
from textvae.model.priors import PRIORS


def fits(kind: str, prior: str) -> bool:
    """Whether the two go together and have a KL."""
    try:
        check_prior(kind, prior)
    except ConfigError:
        return False
    return POSTERIORS[kind].distribution.has_density


PAIRS = [(kind, name) for name in PRIORS for kind in POSTERIORS if fits(kind, name)]


def prior(kind: str, latent: int = LATENT):
    torch.manual_seed(0)
    part = built(PRIORS, small(PRIORS, kind), latent)
    part.bind_posterior(
        built(POSTERIORS, small(POSTERIORS, "gaussian"), HIDDEN, latent, True), [3, 1]
    )
    return part.requires_grad_(False)


def grid(is_spherical: bool):
    """Return points, (n, latent), and their weights: a fine line, or, for a sphere, a circle."""
    if is_spherical:
        angle = torch.linspace(0, 2 * math.pi, 4001)[1:]
        return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], dim=1), 2 * math.pi / 4000
    return torch.linspace(-12, 12, 4001).unsqueeze(1), 24 / 4000


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_integrates_to_one(kind):
    """In one dimension, over a fine grid."""
    points, weight = grid(PRIORS[kind].is_spherical)
    density = prior(kind, points.shape[1]).log_prob(points).exp()
    assert (density * weight).sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_the_kl_is_the_mean_log_ratio_over_draws_of_the_posterior(kind, name):
    """Closed form or the mean of its one-draw estimate, it equals a Monte Carlo estimate from other draws."""
    part = prior(name)
    q = posterior(kind)(draws(3, 5, HIDDEN), MASK).map(torch.Tensor.detach)
    torch.manual_seed(1)
    many = q.map(lambda tensor: tensor.repeat_interleave(20_000, 0))
    with torch.no_grad():
        z = many.sample()
        ratio = many.log_prob(z) - part.log_prob(z)
        kl = part.kl(many, many.sample()).sum(1)
    torch.testing.assert_close(kl.view(3, -1).mean(1), ratio.view(3, -1).mean(1), atol=0.08, rtol=0)


@pytest.mark.parametrize("kind", PRIORS)
def test_draws_come_from_the_density(kind):
    """The mean of log p over draws equals minus its entropy, found on a grid; the seed decides the draws."""
    points, weight = grid(PRIORS[kind].is_spherical)
    part = prior(kind, points.shape[1])
    log_density = part.log_prob(points)
    entropy = -(log_density.exp() * log_density * weight).sum()
    torch.manual_seed(0)
    z = part.sample(20_000)
    assert z.shape == (20_000, points.shape[1])
    assert -part.log_prob(z).mean().item() == pytest.approx(entropy.item(), abs=0.03)
    torch.manual_seed(0)
    torch.testing.assert_close(part.sample(20_000), z, rtol=0, atol=0)


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_is_learned_if_it_says_so(kind):
    """It has parameters then, all of which the KL moves, and else none."""
    part = prior(kind).requires_grad_(True)
    assert PRIORS[kind].is_learned == bool(list(part.parameters()))
    if part.is_learned:
        q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
        part.kl(q, q.sample()).sum().backward()
        assert all((weight.grad != 0).any() for weight in part.parameters())


def test_the_standard_normal_kl_equals_that_of_torch_dimension_by_dimension():
    """Analytic, (batch, latent)."""
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    expected = kl_divergence(Normal(q.mean, torch.exp(0.5 * q.logvar)), Normal(0.0, 1.0))
    torch.testing.assert_close(prior("standard_normal").kl(q, q.sample()), expected)


def test_a_posterior_equal_to_the_prior_costs_nothing():
    """Mean 0 and variance 1: KL 0, to the last bit."""
    q = DiagonalGaussian(torch.zeros(2, LATENT), torch.zeros(2, LATENT))
    assert (prior("standard_normal").kl(q, q.sample()) == 0).all()


def test_the_mixture_density_equals_that_of_torch():
    """With weights, means and variances of its own for each component."""
    part = prior("mixture")
    part.logits.copy_(draws(16, seed=1))
    part.logvar.copy_(draws(16, LATENT, seed=2))
    components = Independent(Normal(part.mean, torch.exp(0.5 * part.logvar)), 1)
    slow = MixtureSameFamily(Categorical(logits=part.logits), components)
    z = draws(5, 3, LATENT, seed=3)
    torch.testing.assert_close(part.log_prob(z), slow.log_prob(z))


def test_the_vamp_density_is_the_average_of_its_posteriors():
    """Those of its pseudo-inputs; the posterior's weights stay the posterior's own."""
    part, z = prior("vamp"), draws(5, LATENT)
    each = torch.stack([part.head(state.unsqueeze(0)).log_prob(z) for state in part.states])
    torch.testing.assert_close(part.log_prob(z), each.exp().mean(0).log())
    assert [name for name, _ in part.named_parameters()] == ["states"]
