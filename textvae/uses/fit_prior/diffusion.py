"""Latent diffusion: a network that takes noise away, step by step.

Denoising diffusion (Ho et al. 2020, arXiv:2006.11239) on latents (Vahdat et al.
2021, arXiv:2106.05931; of text, Lovelace et al. 2023, arXiv:2212.09462), with the
cosine schedule and its angle (Nichol & Dhariwal 2021, arXiv:2102.09672): at time
t in 0..1 a draw is cos(t pi/2) z + sin(t pi/2) noise.
"""

import math
from itertools import pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from textvae.uses.fit_prior.base import FittedPrior, Whitener, learn

WIDTH, WAVES, STEPS = 256, 16, 100
LEAST, MOST = 0.005, 0.995  # times that are visited


class DiffusionPrior(FittedPrior):
    """White noise, cleaned in `STEPS` steps."""

    fewest: ClassVar[int] = 500

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.sizes = {"latent": latent}
        self.whitener = Whitener(latent)
        self.layers = nn.Sequential(
            nn.Linear(latent + 2 * WAVES, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, latent),
        )

    @classmethod
    def fitted(cls, z: Tensor, held: Tensor) -> Self:
        """Learn to find the noise in z, (n, latent)."""
        prior = cls(z.shape[1])
        prior.whitener.see(z)
        return learn(prior, DiffusionPrior.cost, z, held)

    def noise_in(self, mixed: Tensor, time: Tensor) -> Tensor:
        """Return the noise, (n, latent), that is guessed in draws of these times, (n, 1)."""
        waves = time * math.pi * torch.arange(1, WAVES + 1)
        noise: Tensor = self.layers(torch.cat([mixed, waves.sin(), waves.cos()], dim=1))
        return noise

    def cost(self, z: Tensor) -> Tensor:
        """Return the squared error of the guess at a random time, (n,)."""
        time, noise = LEAST + (MOST - LEAST) * torch.rand(len(z), 1), torch.randn_like(z)
        angle = time * math.pi / 2
        mixed = angle.cos() * self.whitener(z) + angle.sin() * noise
        return (self.noise_in(mixed, time) - noise).square().sum(1)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), by ancestral sampling."""
        z = torch.randn(count, self.sizes["latent"])
        times = torch.linspace(MOST, LEAST, STEPS + 1)
        for now, then in pairwise(times):
            noise = self.noise_in(z, now.expand(count, 1))
            clean = ((z - (now * math.pi / 2).sin() * noise) / (now * math.pi / 2).cos()).clamp(-6, 6)
            z = self.step(z, clean, now * math.pi / 2, then * math.pi / 2)
        return self.whitener.inverse(clean)

    def step(self, z: Tensor, clean: Tensor, now: Tensor, then: Tensor) -> Tensor:
        """Return draws at the angle `then` from those at `now` and their guessed clean ones (Ho et al., equation 7)."""
        kept = (now.cos() / then.cos()).square()  # alpha of the step
        spread = (1 - kept) * then.sin().square() / now.sin().square()
        mean = (
            then.cos() * (1 - kept) * clean / now.sin().square()
            + kept.sqrt() * then.sin().square() * z / now.sin().square()
        )
        return mean + spread.sqrt() * torch.randn_like(z)
