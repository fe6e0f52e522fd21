"""Posteriors: q(z | x) from the encoder's states."""

from textvae.posteriors.base import Posterior
from textvae.posteriors.gaussian import GaussianPosterior
from textvae.posteriors.gaussian_distribution import DiagonalGaussian

POSTERIORS: dict[str, type[Posterior]] = {"gaussian": GaussianPosterior}

__all__ = ["POSTERIORS", "DiagonalGaussian", "GaussianPosterior", "Posterior"]
