"""Distributions: what every kind of q(z | x) promises, and what each kind is known by."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.model.posteriors.test_posteriors import HIDDEN, MASK, posterior
from tests.tiny import LATENT, draws
from textvae.errors import TextVAEError
from textvae.model.posteriors import POSTERIORS, VonMisesFisher
from textvae.model.priors import PRIORS

DENSE = [kind for kind, part in POSTERIORS.items() if part.distribution.has_density]
MANY = 40_000


def stirred(kind, **more):
    """Return a posterior none of whose maps is near nothing."""
    part = posterior(kind, **more)
    with torch.no_grad():
        for weight in part.parameters():
            weight.normal_(std=0.2 if kind == "flow" else 0.5)
    return part


def distribution(kind, **more):
    return stirred(kind, **more)(draws(3, 5, HIDDEN), MASK)


def repeated(q, times):
    """Return q with each sentence `times` over, one after the other."""
    return q.map(lambda tensor: tensor.detach().repeat_interleave(times, 0))


def reference(q, z):
    """Return log densities, (n,), of something that q covers: the uniform sphere, or a narrower Gaussian."""
    if q.is_spherical:
        return PRIORS["uniform_sphere"](PRIORS["uniform_sphere"].Settings(), z.shape[1]).log_prob(z)
    return Independent(Normal(z.mean(0), 0.6 * z.std(0)), 1).log_prob(z)


@pytest.mark.parametrize("kind", DENSE)
def test_the_density_is_that_of_the_draws(kind):
    """The mean of r(z) / q(z) over draws is 1 for any density r that q covers: q is normalised, and drawn from."""
    q = distribution(kind, **({"kappa": 3.0} if kind == "von_mises_fisher" else {}))
    torch.manual_seed(0)
    for row in range(3):
        many = repeated(q.map(lambda tensor, row=row: tensor[row : row + 1]), MANY)
        z = many.sample()
        ratio = (reference(q, z) - many.log_prob(z)).exp()
        assert ratio.mean().item() == pytest.approx(1, abs=4 * ratio.std().item() / math.sqrt(MANY))
        assert ratio.std() < 10  # or the check would say nothing


@pytest.mark.parametrize("kind", DENSE)
def test_the_densities_of_all_pairs_equal_a_loop(kind):
    """Row i and column j hold log q(z_i | x_j)."""
    q = distribution(kind)
    z = repeated(q, 2).sample().detach()
    slow = torch.stack(
        [
            torch.stack([q.map(lambda t, j=j: t[j : j + 1]).log_prob(row)[0] for j in range(3)])
            for row in z
        ]
    )
    torch.testing.assert_close(q.log_prob_pairs(z), slow, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", DENSE)
def test_many_draws_a_sentence_have_the_densities_of_each_alone(kind):
    """(draws, batch, latent) in, (draws, batch) out."""
    q = distribution(kind)
    z = torch.stack([q.sample(), q.sample()]).detach()
    torch.testing.assert_close(q.log_prob(z), torch.stack([q.log_prob(z[0]), q.log_prob(z[1])]))


@pytest.mark.parametrize("kind", DENSE)
def test_mixed_precision_does_not_reach_the_density(kind):
    """Under bf16 autocast a draw and its density are what they are without."""
    part, states = stirred(kind), draws(3, 5, HIDDEN)
    found = []
    for is_mixed in (True, False):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            q = part(states, MASK)
            z = q.sample()
            found.append((z, q.log_prob(z)))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_what_is_placed_is_found_again(kind):
    """Batches put into a blank one in another order make the whole, density and all."""
    q = distribution(kind)
    whole = q.blank(3)
    for rows in ([2, 0], [1]):
        whole.place(rows, q.map(lambda tensor, rows=rows: tensor[rows]))
    torch.testing.assert_close(whole.tensors, q.map(torch.Tensor.detach).tensors)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_every_parameter_is_learned_from_a_draw_and_its_density(kind):
    """None is left without a gradient: several processes would wait for it."""
    part = stirred(kind)
    q = part(draws(3, 5, HIDDEN), MASK)
    z = q.sample()
    (z.square().sum() + (q.log_prob(z).sum() if q.has_density else 0)).backward()
    assert all(weight.grad is not None for weight in part.parameters())


def test_a_point_has_no_density():
    """Its draw is its mean; asked for a density, it refuses."""
    q = distribution("deterministic")
    torch.testing.assert_close(q.sample(), q.mean)
    with pytest.raises(TextVAEError, match="has no density"):
        q.log_prob(q.mean)


@pytest.mark.parametrize("delta", [0.05, 0.3, 2.0])
def test_no_dimension_of_a_delta_posterior_is_nearer_to_the_prior_than_delta(delta):
    """For all states, and some are just there: the KL is delta + max(0, raw mean)^2 / 2."""
    q = stirred("delta_gaussian", delta=delta)(20 * draws(3, 5, HIDDEN), MASK)
    kl = PRIORS["standard_normal"](PRIORS["standard_normal"].Settings(), LATENT).kl(q, q.mean)
    assert (kl >= delta * (1 - 1e-4)).all()
    assert kl.min().item() == pytest.approx(delta, rel=1e-3)


def test_batch_norm_gives_means_of_the_variance_it_says_and_keeps_the_running_one():
    """In training over the batch; in evaluation, after many batches, about the same, each sentence for itself."""
    part = stirred("batch_norm_gaussian", gamma=0.7)
    batches = [draws(64, 1, HIDDEN, seed=seed) for seed in range(60)]
    mask = torch.ones(64, 1, dtype=torch.bool)
    for states in batches:
        mean = part(states, mask).mean
        torch.testing.assert_close(mean.mean(0), part.beta)
        torch.testing.assert_close(
            mean.std(0, correction=0), torch.full((LATENT,), 0.7), rtol=1e-3, atol=0
        )
    part.eval()
    spread = part(torch.cat(batches), mask.repeat(60, 1)).mean.std(0)
    torch.testing.assert_close(spread, torch.full((LATENT,), 0.7), rtol=0.1, atol=0)
    torch.testing.assert_close(part(batches[0][:1], mask[:1]).mean, part(batches[0], mask).mean[:1])


def test_draws_of_a_direction_lie_on_the_sphere_about_it():
    """Radius sqrt(latent); the mean cosine is I_{d/2}(kappa) / I_{d/2-1}(kappa), in 3 dimensions coth k - 1/k."""
    mean = torch.tensor([[0.6, 0.0, -0.8]]) * math.sqrt(3)
    torch.manual_seed(0)
    z = VonMisesFisher(mean.expand(MANY, -1), 5.0).sample()
    torch.testing.assert_close(z.norm(dim=1), torch.full((MANY,), math.sqrt(3)))
    assert (z @ mean[0] / 3).mean().item() == pytest.approx(1 / math.tanh(5) - 1 / 5, abs=0.005)
    torch.testing.assert_close(
        z.mean(0) / z.mean(0).norm(), mean[0] / math.sqrt(3), atol=0.01, rtol=0
    )


def test_a_flow_is_undone_and_its_slope_is_that_of_autograd():
    """From z to its image and back; log |det| of the derivative, sentence by sentence."""
    flow, context = stirred("flow").flow, draws(3, 32, seed=1)
    z = draws(3, LATENT)
    origin, slope = flow.inverse(flow(z, context), context)
    torch.testing.assert_close(origin, z, rtol=1e-4, atol=1e-4)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda point, row=row: flow(point, context[row]), z[row]
        )
        torch.testing.assert_close(
            slope[row], torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-4, atol=1e-4
        )
