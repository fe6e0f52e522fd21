"""Priors: p(z)."""

from textvae.model.priors.base import Prior
from textvae.model.priors.label_gaussian import LabelGaussian
from textvae.model.priors.mixture import MixturePrior
from textvae.model.priors.standard_normal import StandardNormal
from textvae.model.priors.uniform_sphere import UniformSphere
from textvae.model.priors.vamp import VampPrior

PRIORS: dict[str, type[Prior]] = {
    "standard_normal": StandardNormal,
    "uniform_sphere": UniformSphere,
    "mixture": MixturePrior,
    "vamp": VampPrior,
    "label_gaussian": LabelGaussian,
}


__all__ = ["PRIORS", "Prior"]
