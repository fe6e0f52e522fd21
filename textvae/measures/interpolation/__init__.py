"""Measures of the sentences on the way from one to another; each a function of a `Subject`."""

from textvae.measures.interpolation.fluency import fluency
from textvae.measures.interpolation.smoothness import smoothness

__all__ = ["fluency", "smoothness"]
