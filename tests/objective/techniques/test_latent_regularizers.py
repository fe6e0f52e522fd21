"""Regularizers of z: MMD, adversarial, mutual information machine and latent dropout."""

import math

import pytest
import torch

from tests.objective.techniques.test_techniques import standard_normal, technique
from tests.tiny import LATENT, draws, tiny_batch, tiny_model
from textvae.model.modeling import TextVAEOutput
from textvae.model.posteriors import DiagonalGaussian
from textvae.objective.techniques import Progress
from textvae.objective.techniques.mmd import KERNELS, squared_mmd

MIDDLE = Progress(step=50, fraction=0.5)


def output_of(mean, logvar, latent=None):
    """Return the model output that penalties use, with the posterior N(mean, exp(logvar))."""
    q = DiagonalGaussian(mean, logvar)
    prior = standard_normal()
    if latent is None:
        latent = q.sample()
    return TextVAEOutput(
        mean=mean, logvar=logvar, latent=latent, kl=prior.kl(q, latent), posterior=q, prior=prior
    )


@pytest.mark.parametrize("name", KERNELS)
def test_mmd_of_small_batches_is_unbiased(name):
    """For equal distributions its mean is 0, for different ones that of a large sample."""
    torch.manual_seed(0)
    kernel = KERNELS[name]
    same = mmd_of_small_batches(kernel, shift=0)
    shifted = mmd_of_small_batches(kernel, shift=1)
    assert same.mean().abs() < 4 * same.std() / len(same) ** 0.5
    large_sample = squared_mmd(torch.randn(1500, 3) + 1, torch.randn(1500, 3), kernel)
    noise = shifted.std() / len(shifted) ** 0.5
    assert (shifted.mean() - large_sample).abs() < 4 * noise + 0.05 * large_sample
    assert large_sample > 0.01


def mmd_of_small_batches(kernel, shift):
    """Return the estimates of many batches of four between N(shift, I) and N(0, I)."""
    estimates = []
    for _ in range(800):
        estimates.append(squared_mmd(torch.randn(4, 3) + shift, torch.randn(4, 3), kernel))
    return torch.stack(estimates)


def test_the_gaussian_mmd_is_its_closed_form():
    """Between N(m, I) and N(0, I) it is 2 (w / (w + 2))^(d/2) (1 - exp(-|m|^2 / (2 (w + 2))))."""
    torch.manual_seed(0)
    width = 4.0  # w equals the dimension d
    shift = 1.5
    found = squared_mmd(torch.randn(1500, 4) + shift, torch.randn(1500, 4), KERNELS["gaussian"])
    decay = math.exp(-4 * shift**2 / (2 * (width + 2)))
    expected = 2 * (width / (width + 2)) ** 2 * (1 - decay)
    assert found.item() == pytest.approx(expected, rel=0.03)


def test_mmd_keeps_the_configured_share_of_the_kl():
    """By default it keeps none."""
    kl = draws(6, LATENT).square()
    assert (technique("mmd").shape_kl(kl, MIDDLE) == 0).all()
    torch.testing.assert_close(technique("mmd", kl_share=0.25).shape_kl(kl, MIDDLE), kl / 4)


def test_the_weight_scales_only_the_gradient_of_the_encoder():
    """Ten times the weight gives ten times its gradient, and the same for the discriminator."""
    grads = {}
    for weight in (0.0, 1.0, 10.0):
        part = technique("adversarial", weight=weight)
        mean = (draws(6, LATENT) + 1).requires_grad_()
        logvar = torch.full((6, LATENT), -1.0)
        torch.manual_seed(1)
        part.penalty(output_of(mean, logvar), tiny_batch(), MIDDLE).backward()
        assert mean.grad is not None
        grads[weight] = mean.grad, [parameter.grad for parameter in part.module.parameters()]
    torch.testing.assert_close(grads[10.0][0], 10 * grads[1.0][0])
    torch.testing.assert_close(grads[10.0][1], grads[0.0][1])
    assert grads[1.0][0].abs().sum() > 0


def test_the_encoder_learns_to_fool_the_discriminator():
    """Its gradient is that of -log D(z) alone."""
    part = technique("adversarial", weight=1.0)
    z = (draws(6, LATENT) + 1).requires_grad_()
    logvar = torch.zeros(6, LATENT)
    part.penalty(output_of(z.detach(), logvar, z), tiny_batch(), MIDDLE).backward()
    reference = z.detach().clone().requires_grad_()
    (-part.module(reference).sigmoid().log().mean()).backward()
    torch.testing.assert_close(z.grad, reference.grad)


def test_the_log_variance_penalty_is_the_sum_of_absolute_values():
    """It sums over dimensions and averages over sentences."""
    z = draws(6, LATENT)
    logvar = draws(6, LATENT, seed=1)
    losses = []
    for price in (0.0, 0.5):
        torch.manual_seed(0)
        part = technique("adversarial", log_variance_penalty=price)
        torch.manual_seed(1)
        losses.append(part.penalty(output_of(z, logvar, z), tiny_batch(), MIDDLE))
    torch.testing.assert_close(losses[1] - losses[0], 0.5 * logvar.abs().sum(1).mean())


def test_the_mutual_information_machine_rewards_both_densities():
    """It adds -(log q(z|x) + log p(z)) / 2; the reference uses torch's own normals."""
    mean = draws(6, LATENT)
    logvar = draws(6, LATENT, seed=1)
    z = draws(6, LATENT, seed=2)
    q = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    expected = -0.5 * (q.log_prob(z) + p.log_prob(z)).sum(1).mean()
    part = technique("mutual_information_machine")
    penalty = part.penalty(output_of(mean, logvar, z), tiny_batch(), MIDDLE)
    torch.testing.assert_close(penalty, expected)


@pytest.mark.parametrize(("scope", "largest"), [("dimension", 1 / 0.7), ("whole", 1.0)])
def test_latent_dropout_hides_the_configured_share(scope, largest):
    """It hides single dimensions and scales up the others, or all dimensions of a sentence."""
    torch.manual_seed(0)
    part = technique("latent_dropout", rate=0.3, scope=scope)
    z = torch.ones(4000, LATENT)
    dropped = part.shape_latent(z, DiagonalGaussian(z, z), tiny_model(), tiny_batch(), MIDDLE)
    hidden = (dropped == 0).float()
    assert hidden.mean().item() == pytest.approx(0.3, abs=0.02)
    is_all_or_nothing = (hidden.mean(1) % 1 == 0).all()
    assert is_all_or_nothing == (scope == "whole")
    torch.testing.assert_close(dropped.max(), torch.tensor(largest))


@pytest.mark.parametrize("scope", ["dimension", "whole"])
def test_latent_dropout_hides_z_as_the_mean_of_its_labels_prior(scope):
    """What is hidden equals the mean of the sentence's own label, and the expectation is kept."""
    torch.manual_seed(0)
    model = tiny_model(labels={"good": 3, "bad": 1})
    means = torch.tensor([[3.0], [-5.0]]).expand(2, LATENT)
    model.prior.mean.data.copy_(means)
    label_ids = torch.arange(4000) % 2
    z = means[label_ids] + 1
    part = technique("latent_dropout", rate=0.3, scope=scope)
    batch = {"label_ids": label_ids}
    shaped = part.shape_latent(z, DiagonalGaussian(z, z), model, batch, MIDDLE)
    offset = shaped - means[label_ids]
    assert (offset == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert not shaped.requires_grad
    visible = offset[offset != 0]
    expected = 1 / 0.7 if scope == "dimension" else 1.0
    torch.testing.assert_close(visible, torch.full_like(visible, expected))
