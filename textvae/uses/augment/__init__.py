"""Augmentation: generate new texts with the labels of existing texts.

Candidates are decoded from samples of a text's posterior and from points between two
texts of one class (as in Malandrakis et al. 2019, arXiv:1910.03487, and, on vectors,
Chawla et al. 2002). Candidates that are duplicates, that are classified as another
label, or that the model finds implausible are dropped.
"""

from textvae.uses.augment.augment import augment

__all__ = ["augment"]
