"""Uses: what a trained model is for, one verb a file.

`score` is imported where it is used: with it comes `datasets`, which takes
longer to import than a sentence to write.
"""

from textvae.inference.decoding import DecodingSettings, build_decoding_settings, decode_latents
from textvae.inference.encode import encode, iterate_posteriors, posterior
from textvae.inference.generate import generate
from textvae.inference.paths import PATHS
from textvae.uses.complete import complete
from textvae.uses.edit import analogy, edit
from textvae.uses.interpolate import interpolate
from textvae.uses.reconstruct import reconstruct

__all__ = [
    "PATHS",
    "DecodingSettings",
    "analogy",
    "build_decoding_settings",
    "complete",
    "decode_latents",
    "edit",
    "encode",
    "generate",
    "interpolate",
    "iterate_posteriors",
    "posterior",
    "reconstruct",
]
