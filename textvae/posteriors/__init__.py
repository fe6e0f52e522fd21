"""Posteriors: q(z | x) from the encoder's states."""

from textvae.posteriors.base import Posterior
from textvae.posteriors.batch_norm_gaussian import BatchNormGaussianPosterior
from textvae.posteriors.delta_gaussian import DeltaGaussianPosterior
from textvae.posteriors.deterministic import DeterministicPosterior
from textvae.posteriors.distribution import Distribution
from textvae.posteriors.flow import FlowPosterior
from textvae.posteriors.gaussian import GaussianPosterior
from textvae.posteriors.gaussian_distribution import DiagonalGaussian
from textvae.posteriors.von_mises_fisher import VonMisesFisher, VonMisesFisherPosterior

POSTERIORS: dict[str, type[Posterior]] = {
    "gaussian": GaussianPosterior,
    "batch_norm_gaussian": BatchNormGaussianPosterior,
    "delta_gaussian": DeltaGaussianPosterior,
    "von_mises_fisher": VonMisesFisherPosterior,
    "flow": FlowPosterior,
    "deterministic": DeterministicPosterior,
}

__all__ = ["POSTERIORS", "DiagonalGaussian", "Distribution", "GaussianPosterior", "Posterior", "VonMisesFisher"]
