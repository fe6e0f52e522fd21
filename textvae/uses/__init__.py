"""Uses: what a trained model is for, one verb a file."""

from textvae.uses.complete import complete
from textvae.uses.decoding import Decoding, decoding, write
from textvae.uses.encode import encode, posterior, posteriors
from textvae.uses.generate import generate
from textvae.uses.interpolate import PATHS, interpolate
from textvae.uses.reconstruct import reconstruct
from textvae.uses.score import ScoreSettings, score

__all__ = [
    "PATHS",
    "Decoding",
    "ScoreSettings",
    "complete",
    "decoding",
    "encode",
    "generate",
    "interpolate",
    "posterior",
    "posteriors",
    "reconstruct",
    "score",
    "write",
]
