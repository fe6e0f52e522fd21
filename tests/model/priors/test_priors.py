"""Priors: each one in the table is a density, and its KL is the one that it returns."""

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
    """Whether posterior and prior go together and have a KL."""
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
    """Return points, (n, latent), of a line or, for a sphere, of a circle, and their weight."""
    if is_spherical:
        angle = torch.linspace(0, 2 * math.pi, 4001)[1:]
        return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], dim=1), 2 * math.pi / 4000
    return torch.linspace(-12, 12, 4001).unsqueeze(1), 24 / 4000


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_integrates_to_one(kind):
    """The integral is over a fine grid in one dimension."""
    points, weight = grid(PRIORS[kind].is_spherical)
    density = prior(kind, points.shape[1]).log_prob(points).exp()
    assert (density * weight).sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_the_kl_is_the_mean_log_ratio_over_samples_of_the_posterior(kind, name):
    """The closed form, or the mean of estimates, equals an estimate from other samples."""
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
def test_samples_come_from_the_density(kind):
    """The mean of -log p over samples is the entropy on a grid; samples depend on the seed."""
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
def test_the_center_is_the_mean_of_the_samples(kind):
    """Of a learned prior, weights and means are random."""
    part = prior(kind)
    for weight in part.parameters():
        weight.normal_()
    torch.manual_seed(2)
    z = part.sample(20_000)
    error = z.std(0) / len(z) ** 0.5
    assert ((z.mean(0) - part.center()).abs() < 5 * error).all()


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_has_parameters_exactly_if_is_learned_says_so(kind):
    """The KL has a gradient with respect to all of them."""
    part = prior(kind).requires_grad_(True)
    assert PRIORS[kind].is_learned == bool(list(part.parameters()))
    if part.is_learned:
        q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
        part.kl(q, q.sample()).sum().backward()
        assert all((weight.grad != 0).any() for weight in part.parameters())


def test_the_standard_normal_kl_equals_that_of_torch_dimension_by_dimension():
    """The closed form is (batch, latent)."""
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    expected = kl_divergence(Normal(q.mean, torch.exp(0.5 * q.logvar)), Normal(0.0, 1.0))
    torch.testing.assert_close(prior("standard_normal").kl(q, q.sample()), expected)


def test_a_posterior_equal_to_the_prior_has_a_kl_of_exactly_0():
    """With mean 0 and variance 1, no rounding error is left."""
    q = DiagonalGaussian(torch.zeros(2, LATENT), torch.zeros(2, LATENT))
    assert (prior("standard_normal").kl(q, q.sample()) == 0).all()


def test_the_mixture_density_equals_that_of_torch():
    """Each component has another weight, mean and variance."""
    part = prior("mixture")
    part.logits.copy_(draws(16, seed=1))
    part.logvar.copy_(draws(16, LATENT, seed=2))
    components = Independent(Normal(part.mean, torch.exp(0.5 * part.logvar)), 1)
    reference = MixtureSameFamily(Categorical(logits=part.logits), components)
    z = draws(5, 3, LATENT, seed=3)
    torch.testing.assert_close(part.log_prob(z), reference.log_prob(z))


def test_the_vamp_density_is_the_average_of_its_posteriors():
    """They are those of its pseudo-inputs; the posterior's weights belong to the posterior."""
    part = prior("vamp")
    z = draws(5, LATENT)
    each = torch.stack([part.head(state.unsqueeze(0)).log_prob(z) for state in part.states])
    torch.testing.assert_close(part.log_prob(z), each.exp().mean(0).log())
    assert [name for name, _ in part.named_parameters()] == ["states"]
