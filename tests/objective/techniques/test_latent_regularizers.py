"""MMD, the adversary, the mutual information machine and latent dropout: each does to z what its paper says."""

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
    """Return what the penalties look at, for N(mean, exp(logvar))."""
    q, prior = DiagonalGaussian(mean, logvar), standard_normal()
    latent = q.sample() if latent is None else latent
    return TextVAEOutput(
        mean=mean, logvar=logvar, latent=latent, kl=prior.kl(q, latent), posterior=q, prior=prior
    )


@pytest.mark.parametrize("name", KERNELS)
def test_mmd_of_small_batches_is_unbiased(name):
    """Of one distribution it is 0 on average, though never of one batch; between two, that of many draws."""
    torch.manual_seed(0)
    kernel = KERNELS[name]
    same = torch.stack(
        [squared_mmd(torch.randn(4, 3), torch.randn(4, 3), kernel) for _ in range(800)]
    )
    shifted = torch.stack(
        [squared_mmd(torch.randn(4, 3) + 1, torch.randn(4, 3), kernel) for _ in range(800)]
    )
    assert same.mean().abs() < 4 * same.std() / len(same) ** 0.5
    many = squared_mmd(torch.randn(1500, 3) + 1, torch.randn(1500, 3), kernel)
    assert (shifted.mean() - many).abs() < 4 * shifted.std() / len(shifted) ** 0.5 + 0.05 * many
    assert many > 0.01


def test_the_gaussian_mmd_is_its_closed_form():
    """Between N(m, I) and N(0, I) with kernel width w: 2 (w / (w + 2))^(d/2) (1 - exp(-|m|^2 / (2 (w + 2))))."""
    torch.manual_seed(0)
    width, shift = 4.0, 1.5  # the width is the dimension
    found = squared_mmd(torch.randn(1500, 4) + shift, torch.randn(1500, 4), KERNELS["gaussian"])
    closed = (
        2
        * (width / (width + 2)) ** 2
        * (1 - torch.exp(torch.tensor(-4 * shift**2 / (2 * (width + 2)))))
    )
    assert found.item() == pytest.approx(closed.item(), rel=0.03)


def test_mmd_pays_its_share_of_the_kl():
    """None of it by default."""
    kl = draws(6, LATENT).square()
    assert (technique("mmd").shape_kl(kl, MIDDLE) == 0).all()
    torch.testing.assert_close(technique("mmd", kl_share=0.25).shape_kl(kl, MIDDLE), kl / 4)


def test_the_discriminator_learns_unscaled_and_the_encoder_against_it():
    """Ten times the weight: ten times the encoder's gradient, the discriminator's own unchanged."""
    grads = {}
    for weight in (0.0, 1.0, 10.0):
        part = technique("adversarial", weight=weight)
        mean, logvar = (draws(6, LATENT) + 1).requires_grad_(), torch.full((6, LATENT), -1.0)
        torch.manual_seed(1)
        part.penalty(output_of(mean, logvar), tiny_batch(), MIDDLE).backward()
        grads[weight] = mean.grad, [parameter.grad for parameter in part.module.parameters()]
    torch.testing.assert_close(grads[10.0][0], 10 * grads[1.0][0])
    torch.testing.assert_close(grads[10.0][1], grads[0.0][1])
    assert grads[1.0][0].abs().sum() > 0


def test_the_encoder_moves_to_where_the_discriminator_is_deceived():
    """Its gradient is that of -log D(z) alone."""
    part = technique("adversarial", weight=1.0)
    z = (draws(6, LATENT) + 1).requires_grad_()
    logvar = torch.zeros(6, LATENT)
    part.penalty(output_of(z.detach(), logvar, z), tiny_batch(), MIDDLE).backward()
    honest = z.detach().clone().requires_grad_()
    (-part.module(honest).sigmoid().log().mean()).backward()
    torch.testing.assert_close(z.grad, honest.grad)


def test_the_log_variance_penalty_is_the_sum_of_absolute_values():
    """Of a sentence's dimensions, averaged over sentences."""
    z, logvar = draws(6, LATENT), draws(6, LATENT, seed=1)
    paid = []
    for price in (0.0, 0.5):
        torch.manual_seed(0)
        part = technique("adversarial", log_variance_penalty=price)
        torch.manual_seed(1)
        paid.append(part.penalty(output_of(z, logvar, z), tiny_batch(), MIDDLE))
    torch.testing.assert_close(paid[1] - paid[0], 0.5 * logvar.abs().sum(1).mean())


def test_the_mutual_information_machine_rewards_both_densities():
    """Minus half of log q(z|x) + log p(z), as torch's own normals have them."""
    mean, logvar, z = draws(6, LATENT), draws(6, LATENT, seed=1), draws(6, LATENT, seed=2)
    q, p = (
        torch.distributions.Normal(mean, (0.5 * logvar).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    expected = -0.5 * (q.log_prob(z) + p.log_prob(z)).sum(1).mean()
    part = technique("mutual_information_machine")
    torch.testing.assert_close(
        part.penalty(output_of(mean, logvar, z), tiny_batch(), MIDDLE), expected
    )


@pytest.mark.parametrize(("scope", "kept"), [("dimension", 1 / 0.7), ("whole", 1.0)])
def test_latent_dropout_hides_the_share_it_is_set_to(scope, kept):
    """Single dimensions, the others grown to keep the mean; or all of a sentence's at once."""
    torch.manual_seed(0)
    part, z = technique("latent_dropout", rate=0.3, scope=scope), torch.ones(4000, LATENT)
    dropped = part.draw(z, DiagonalGaussian(z, z), tiny_model(), tiny_batch(), MIDDLE)
    hidden = (dropped == 0).float()
    assert hidden.mean().item() == pytest.approx(0.3, abs=0.02)
    assert ((hidden.mean(1) % 1 == 0).all()) == (scope == "whole")
    torch.testing.assert_close(dropped.max(), torch.tensor(kept))
