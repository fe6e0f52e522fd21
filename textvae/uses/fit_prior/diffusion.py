"""Latent diffusion: a network that turns noise into latents, a little at a time.

Denoising diffusion (Ho et al. 2020, arXiv:2006.11239) on latents (Vahdat et al.
2021, arXiv:2106.05931; of text, Lovelace et al. 2023, arXiv:2212.09462). At the
angle a, 0 to pi/2 (the cosine schedule of Nichol & Dhariwal 2021,
arXiv:2102.09672), a latent is cos(a) z + sin(a) noise; the network is asked for
its velocity cos(a) noise - sin(a) z (Salimans & Ho 2022, arXiv:2202.00512), and
the path of that velocity from noise to latent has a density (Song et al. 2021,
arXiv:2011.13456).
"""

import math
from functools import partial
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from textvae.model.posteriors import Distribution
from textvae.uses.fit_prior.base import FittedPrior, Whitener, train_density

HIDDEN_WIDTH, ANGLE_FREQUENCIES, INTEGRATION_STEPS = 256, 16, 40


BATCH_SIZE = 1024  # of the cost's many draws of noise and angle, too


class DiffusionPrior(FittedPrior):
    """White noise, led to where the latents are in `INTEGRATION_STEPS` steps."""

    fewest: ClassVar[int] = 500

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
    def fit(cls, q: Distribution, held: Tensor) -> Self:
        """Learn the velocity of draws."""
        prior = cls(held.shape[1])
        prior.whitener.fit(q.sample())
        return train_density(prior, DiffusionPrior.cost, q, held, BATCH_SIZE)

    def velocity(self, mixed: Tensor, angle: Tensor) -> Tensor:
        """Return the guessed velocity, (n, latent), at these angles, (n, 1)."""
        waves = 2 * angle * torch.arange(1, ANGLE_FREQUENCIES + 1)
        velocity: Tensor = self.layers(torch.cat([mixed, waves.sin(), waves.cos()], dim=1))
        return velocity

    def cost(self, z: Tensor) -> Tensor:
        """Return the squared error of the guess at a random angle, (n,)."""
        angle, noise, white = (
            torch.rand(len(z), 1) * math.pi / 2,
            torch.randn_like(z),
            self.whitener(z),
        )
        guess = self.velocity(angle.cos() * white + angle.sin() * noise, angle)
        error: Tensor = (guess - angle.cos() * noise + angle.sin() * white).square().sum(1)
        return error

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), by the midpoint rule from noise."""
        z, stride = torch.randn(count, self.sizes["latent"]), math.pi / 2 / INTEGRATION_STEPS
        for step in range(INTEGRATION_STEPS, 0, -1):
            angle = torch.full((count, 1), step * stride)
            half = z - self.velocity(z, angle) * stride / 2
            z = z - self.velocity(half, angle - stride / 2) * stride
        return self.whitener.inverse(z)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,); an estimate, for the trace is one of random probes (Hutchinson)."""
        z, stride = self.whitener(z), math.pi / 2 / INTEGRATION_STEPS
        total = -self.whitener.log_slope.expand(len(z))
        for step in range(INTEGRATION_STEPS):
            angle = torch.full((len(z), 1), step * stride)
            half = z + self.velocity(z, angle) * stride / 2
            probe = torch.randint_like(z, 2) * 2 - 1
            both = torch.func.jvp(
                partial(self.velocity, angle=angle + stride / 2), (half,), (probe,)
            )
            z, total = z + both[0] * stride, total + (both[1] * probe).sum(1) * stride
        normal = torch.distributions.Normal(0.0, 1.0)
        density: Tensor = normal.log_prob(z).sum(1) + total
        return density
