"""Augmentation: more texts of the same labels, written by the model.

Candidates are written from draws of a text's posterior and from points between
two texts of one class (as Malandrakis et al. 2019, arXiv:1910.03487, and
Chawla et al. 2002 on vectors); what is a duplicate, reads as another label, or
is implausible to the model is left out.
"""

from textvae.uses.augment.augment import augment
from textvae.uses.augment.settings import AugmentSettings

__all__ = ["AugmentSettings", "augment"]
