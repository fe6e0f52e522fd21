"""Latent diffusion: a network that turns noise into latents in small steps.

Denoising diffusion (Ho et al. 2020, arXiv:2006.11239) on latents (Vahdat et al.
2021, arXiv:2106.05931; for text, Lovelace et al. 2023, arXiv:2212.09462). At the
angle a, 0 to pi/2 (the cosine schedule of Nichol & Dhariwal 2021,
arXiv:2102.09672), a noisy latent is cos(a) z + sin(a) noise. The network predicts
its velocity cos(a) noise - sin(a) z (Salimans & Ho 2022, arXiv:2202.00512). The
path along that velocity from noise to latent has a density (Song et al. 2021,
arXiv:2011.13456).
"""

import math
from functools import partial
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from textvae.model.posteriors import Distribution
from textvae.uses.fit_prior.base import FittedPrior, Whitener, draw_fixed, train_density

HIDDEN_WIDTH = 256
ANGLE_FREQUENCIES = 16
INTEGRATION_STEPS = 40
BATCH_SIZE = 1024  # large, because the cost also averages over random noise and angles


class DiffusionPrior(FittedPrior):
    """A diffusion model that turns noise into latents in `INTEGRATION_STEPS` steps."""

    min_sentences: ClassVar[int] = 500

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.sizes = {"latent": latent}
        self.whitener = Whitener(latent)
        self.layers = nn.Sequential(
            nn.Linear(latent + 2 * ANGLE_FREQUENCIES, HIDDEN_WIDTH),
            nn.SiLU(),
            nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH),
            nn.SiLU(),
            nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH),
            nn.SiLU(),
            nn.Linear(HIDDEN_WIDTH, latent),
        )

    @classmethod
    def fit(cls, q: Distribution, validation: Tensor) -> Self:
        """Train the network to predict the velocity of samples from q(z | x)."""
        prior = cls(validation.shape[1])
        prior.whitener.fit(draw_fixed(q))
        return train_density(prior, DiffusionPrior.cost, q, validation, BATCH_SIZE)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Return samples of z, (count, latent), integrated from noise with the midpoint rule."""
        z = torch.randn(count, self.sizes["latent"])
        stride = math.pi / 2 / INTEGRATION_STEPS
        for step in range(INTEGRATION_STEPS, 0, -1):
            angle = torch.full((count, 1), step * stride)
            midpoint = z - self.velocity(z, angle) * stride / 2
            z = z - self.velocity(midpoint, angle - stride / 2) * stride
        return self.whitener.inverse(z)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return an estimate of log p(z) in nats, (n,), for z of (n, latent).

        z is integrated to noise, whose density is known. The change of volume on the way
        is the integral of the velocity's divergence, the trace of its Jacobian, which is
        estimated with random probes (Hutchinson).
        """
        z = self.whitener(z)
        stride = math.pi / 2 / INTEGRATION_STEPS
        log_volume = -self.whitener.log_determinant.expand(len(z))
        for step in range(INTEGRATION_STEPS):
            angle = torch.full((len(z), 1), step * stride)
            midpoint = z + self.velocity(z, angle) * stride / 2
            probe = torch.randint_like(z, 2) * 2 - 1
            velocity_at = partial(self.velocity, angle=angle + stride / 2)
            velocity_and_slope = torch.func.jvp(velocity_at, (midpoint,), (probe,))
            z = z + velocity_and_slope[0] * stride
            log_volume = log_volume + (velocity_and_slope[1] * probe).sum(1) * stride
        normal = torch.distributions.Normal(0.0, 1.0)
        density: Tensor = normal.log_prob(z).sum(1) + log_volume
        return density

    def velocity(self, noisy: Tensor, angle: Tensor) -> Tensor:
        """Return the predicted velocity, (n, latent), at these angles, (n, 1)."""
        waves = 2 * angle * torch.arange(1, ANGLE_FREQUENCIES + 1)
        velocity: Tensor = self.layers(torch.cat([noisy, waves.sin(), waves.cos()], dim=1))
        return velocity

    def cost(self, z: Tensor) -> Tensor:
        """Return the squared error of the predicted velocity at random angles, (n,)."""
        angle = torch.rand(len(z), 1) * math.pi / 2
        noise = torch.randn_like(z)
        white = self.whitener(z)
        predicted = self.velocity(angle.cos() * white + angle.sin() * noise, angle)
        error: Tensor = predicted - angle.cos() * noise + angle.sin() * white
        return error.square().sum(1)
