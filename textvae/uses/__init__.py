"""Uses: what a trained model can do, one verb per file.

`score` is not imported here because it needs `datasets`, whose import takes longer
than generating a sentence. It is imported where it is used.
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
