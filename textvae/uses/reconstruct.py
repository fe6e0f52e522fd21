"""Reconstruct: encode sentences and write them again from their posterior means."""

from collections.abc import Sequence

from textvae.bundle import Bundle
from textvae.uses.decoding import Decoding, write
from textvae.uses.encode import posterior


def reconstruct(
    bundle: Bundle, texts: Sequence[str], options: Decoding, batch_size: int = 512, progress: bool = False
) -> list[str]:
    """Return what the model makes of each text, in the order given; greedy unless options say otherwise."""
    mean = posterior(bundle, texts, progress=progress).mean
    return write(bundle, mean, options, samples=False, batch_size=batch_size, progress=progress)
