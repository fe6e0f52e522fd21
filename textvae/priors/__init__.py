"""Priors: p(z)."""

from textvae.priors.base import Prior
from textvae.priors.standard_normal import StandardNormal

PRIORS: dict[str, type[Prior]] = {"standard_normal": StandardNormal}

__all__ = ["PRIORS", "Prior", "StandardNormal"]
