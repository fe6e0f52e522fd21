"""Distributions: the contract of every kind of q(z | x), and the closed forms of each kind."""

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
    """Return a posterior with weights so large that all of its maps matter."""
    part = posterior(kind, **more)
    with torch.no_grad():
        for weight in part.parameters():
            weight.normal_(std=0.2 if kind == "flow" else 0.5)
    return part


def distribution(kind, **more):
    return stirred(kind, **more)(draws(3, 5, HIDDEN), MASK)


def repeated(q, times):
    """Return q with each sentence repeated, its copies next to each other."""
    return q.map(lambda tensor: tensor.detach().repeat_interleave(times, 0))


def reference(q, z):
    """Return log r(z), (n,), for an r that q covers: a uniform sphere, or a narrower Gaussian."""
    if q.is_spherical:
        return PRIORS["uniform_sphere"](
            PRIORS["uniform_sphere"].Settings(kind="uniform_sphere"), z.shape[1]
        ).log_prob(z)
    return Independent(Normal(z.mean(0), 0.6 * z.std(0)), 1).log_prob(z)


@pytest.mark.parametrize("kind", DENSE)
def test_the_density_is_that_of_the_samples(kind):
    """The mean of r(z) / q(z) over samples of q is 1 for any density r that q covers.

    It is 1 only if q is normalized and if the samples come from q.
    """
    settings = {"kappa": 3.0} if kind == "von_mises_fisher" else {}
    q = distribution(kind, **settings)
    torch.manual_seed(0)
    for row in range(3):
        many = repeated(q.map(lambda tensor, row=row: tensor[row : row + 1]), MANY)
        z = many.sample()
        ratio = (reference(q, z) - many.log_prob(z)).exp()
        assert ratio.mean().item() == pytest.approx(1, abs=4 * ratio.std().item() / math.sqrt(MANY))
        assert ratio.std() < 10  # with a larger one, the mean would prove nothing


@pytest.mark.parametrize("kind", DENSE)
def test_the_densities_of_all_pairs_equal_a_loop(kind):
    """Row i and column j are log q(z_i | x_j)."""
    q = distribution(kind)
    z = repeated(q, 2).sample().detach()
    expected = torch.empty(len(z), 3)
    for j in range(3):
        one = q.select_rows(torch.tensor([j]))
        for i, row in enumerate(z):
            expected[i, j] = one.log_prob(row)[0].detach()
    torch.testing.assert_close(q.log_prob_pairs(z).detach(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", DENSE)
def test_the_densities_of_many_samples_equal_those_of_each_alone(kind):
    """For z of shape (samples, batch, latent), they are (samples, batch)."""
    q = distribution(kind)
    z = torch.stack([q.sample(), q.sample()]).detach()
    torch.testing.assert_close(q.log_prob(z), torch.stack([q.log_prob(z[0]), q.log_prob(z[1])]))


@pytest.mark.parametrize("kind", DENSE)
def test_mixed_precision_does_not_reach_the_density(kind):
    """Under bf16 autocast, a sample and its density are the same as in single precision."""
    part = stirred(kind)
    states = draws(3, 5, HIDDEN)
    results = []
    for is_mixed in (True, False):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            q = part(states, MASK)
            z = q.sample()
            results.append((z, q.log_prob(z)))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_distribution_is_assembled_from_batches_in_any_order(kind):
    """After `make_zeros` and `set_rows`, all tensors are equal to the original ones."""
    q = distribution(kind)
    assembled = q.make_zeros(3)
    for rows in ([2, 0], [1]):
        assembled.set_rows(rows, q.select_rows(torch.tensor(rows)))
    torch.testing.assert_close(assembled.tensors, q.map(torch.Tensor.detach).tensors)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_every_parameter_gets_a_gradient_from_a_sample_and_its_density(kind):
    """With several processes, DDP waits for the gradient of every parameter."""
    part = stirred(kind)
    q = part(draws(3, 5, HIDDEN), MASK)
    z = q.sample()
    loss = z.square().sum()
    if q.has_density:
        loss = loss + q.log_prob(z).sum()
    loss.backward()
    assert all(weight.grad is not None for weight in part.parameters())


def test_a_point_has_no_density():
    """Its sample is its mean, and `log_prob` raises an error."""
    q = distribution("deterministic")
    torch.testing.assert_close(q.sample(), q.mean)
    with pytest.raises(TextVAEError, match="has no density"):
        q.log_prob(q.mean)


@pytest.mark.parametrize("delta", [0.05, 0.3, 2.0])
def test_every_dimension_of_a_delta_posterior_has_at_least_the_kl_delta(delta):
    """The KL is delta + max(0, raw mean)^2 / 2, so some dimensions have exactly delta."""
    q = stirred("delta_gaussian", delta=delta)(20 * draws(3, 5, HIDDEN), MASK)
    kl = PRIORS["standard_normal"](
        PRIORS["standard_normal"].Settings(kind="standard_normal"), LATENT
    ).kl(q, q.mean)
    assert (kl >= delta * (1 - 1e-4)).all()
    assert kl.min().item() == pytest.approx(delta, rel=1e-3)


def test_batch_norm_gives_means_of_the_deviation_gamma():
    """In training over the batch; in evaluation about the same, each sentence alone."""
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


def test_samples_of_a_direction_lie_on_the_sphere_about_it():
    """In 3 dimensions, the mean cosine I_3/2(kappa) / I_1/2(kappa) is coth kappa - 1 / kappa."""
    mean = torch.tensor([[0.6, 0.0, -0.8]]) * math.sqrt(3)
    torch.manual_seed(0)
    z = VonMisesFisher(mean.expand(MANY, -1), 5.0).sample()
    torch.testing.assert_close(z.norm(dim=1), torch.full((MANY,), math.sqrt(3)))
    assert (z @ mean[0] / 3).mean().item() == pytest.approx(1 / math.tanh(5) - 1 / 5, abs=0.005)
    torch.testing.assert_close(
        z.mean(0) / z.mean(0).norm(), mean[0] / math.sqrt(3), atol=0.01, rtol=0
    )


def test_the_inverse_of_a_flow_and_its_log_determinant_are_exact():
    """The inverse of the image is z; log |det| of the derivative is that of autograd."""
    flow = stirred("flow").flow
    context = draws(3, 32, seed=1)
    z = draws(3, LATENT)
    inverse, log_determinant = flow.inverse(flow(z, context), context)
    torch.testing.assert_close(inverse, z, rtol=1e-4, atol=1e-4)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda point, row=row: flow(point, context[row]), z[row]
        )
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_determinant[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_samples_from_a_sentence_s_own_seed_ignore_the_other_sentences(kind):
    """The order of the rows does not matter, and torch's random numbers are not used."""
    q = distribution(kind).map(torch.Tensor.detach)
    state = torch.get_rng_state()
    with torch.no_grad():
        z = q.sample_with_seeds([5, 6, 7], draws=4)
        backwards = q.select_rows(torch.tensor([2, 0])).sample_with_seeds([7, 5], draws=4)
    assert z.shape == (4, 3, LATENT)
    assert torch.equal(backwards, z[:, [2, 0]])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", DENSE)
def test_samples_from_own_seeds_come_from_the_distribution(kind):
    """Their mean is that of plain samples, within four standard errors."""
    q = distribution(kind).map(torch.Tensor.detach)
    torch.manual_seed(0)
    with torch.no_grad():
        z = q.sample_with_seeds([1, 2, 3], draws=4000)
        plain = repeated(q, 4000).sample().view(3, 4000, LATENT).transpose(0, 1)
    error = (z.var(0) / 4000 + plain.var(0) / 4000).sqrt()
    assert ((z.mean(0) - plain.mean(0)).abs() <= 4 * error).all()
