"""Uses: what a trained model is for, one verb a file.

`score` is imported where it is used: with it comes `datasets`, which takes
longer to import than a sentence to write.
"""

from textvae.inference.decoding import Decoding, decoding, write
from textvae.inference.encode import encode, posterior, posteriors
from textvae.inference.generate import generate
from textvae.inference.paths import PATHS
from textvae.uses.complete import complete
from textvae.uses.edit import analogy, edit
from textvae.uses.interpolate import interpolate
from textvae.uses.reconstruct import reconstruct

__all__ = [
    "PATHS",
    "Decoding",
    "analogy",
    "complete",
    "decoding",
    "edit",
    "encode",
    "generate",
    "interpolate",
    "posterior",
    "posteriors",
    "reconstruct",
    "write",
]
