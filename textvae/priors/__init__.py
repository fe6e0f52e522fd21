"""Priors: p(z)."""

from textvae.priors.base import Prior
from textvae.priors.label_gaussian import LabelGaussian
from textvae.priors.mixture import Mixture
from textvae.priors.standard_normal import StandardNormal
from textvae.priors.uniform_sphere import UniformSphere
from textvae.priors.vamp import Vamp

PRIORS: dict[str, type[Prior]] = {
    "standard_normal": StandardNormal,
    "uniform_sphere": UniformSphere,
    "mixture": Mixture,
    "vamp": Vamp,
    "label_gaussian": LabelGaussian,
}

__all__ = ["PRIORS", "Prior"]
