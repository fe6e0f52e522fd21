"""Posteriors: from the encoder's states to q(z | x)."""

from textvae.model.posteriors.base import Posterior
from textvae.model.posteriors.batch_norm_gaussian import BatchNormGaussianPosterior
from textvae.model.posteriors.delta_gaussian import DeltaGaussianPosterior
from textvae.model.posteriors.deterministic import DeterministicPosterior
from textvae.model.posteriors.distribution import DiagonalGaussian, Distribution
from textvae.model.posteriors.flow import FlowPosterior
from textvae.model.posteriors.gaussian import GaussianPosterior
from textvae.model.posteriors.von_mises_fisher import VonMisesFisher, VonMisesFisherPosterior

POSTERIORS: dict[str, type[Posterior]] = {
    "gaussian": GaussianPosterior,
    "batch_norm_gaussian": BatchNormGaussianPosterior,
    "delta_gaussian": DeltaGaussianPosterior,
    "von_mises_fisher": VonMisesFisherPosterior,
    "flow": FlowPosterior,
    "deterministic": DeterministicPosterior,
}


__all__ = [
    "POSTERIORS",
    "DiagonalGaussian",
    "Distribution",
    "GaussianPosterior",
    "Posterior",
    "VonMisesFisher",
]
