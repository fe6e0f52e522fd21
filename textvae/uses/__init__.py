"""Uses: what a trained model is for, one verb a file."""

from textvae.uses.complete import complete
from textvae.uses.decoding import Decoding, decoding, write
from textvae.uses.encode import posterior
from textvae.uses.generate import generate
from textvae.uses.interpolate import PATHS, interpolate
from textvae.uses.reconstruct import reconstruct

__all__ = ["PATHS", "Decoding", "complete", "decoding", "generate", "interpolate", "posterior", "reconstruct", "write"]
