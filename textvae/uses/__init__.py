"""Uses: what a trained model is for, one verb a file.

`score` is imported where it is used: with it comes `datasets`, which takes
longer to import than a sentence to write.
"""

from textvae.uses.complete import complete
from textvae.uses.decoding import Decoding, decoding, write
from textvae.uses.edit import analogy, edit
from textvae.uses.encode import encode, posterior, posteriors
from textvae.uses.generate import generate
from textvae.uses.interpolate import PATHS, interpolate
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
