"""Random seeds: one stream of random numbers for each purpose, all derived from the user's seed.

If two purposes drew from the same stream, their results would be correlated: the
first words of a generated sentence, for example, would follow from its latent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, unique

import numpy as np
import torch


@unique
class Stream(IntEnum):
    """The purposes that have a random stream of their own.

    The number of a purpose never changes, and that of a removed purpose is not reused.
    Otherwise the same seed would give other results than in an earlier release.
    """

    TOKENS = 1  # the tokens that the decoder samples
    ENCODER_BATCHES = 2  # the order of the batches that train the encoder alone
    PROPOSALS = 3  # the latents proposed for a text with blanks
    RESAMPLING = 4  # the choice among these latents
    LABELS = 5  # the labels of generated sentences
    LATENT_DEVIATION = 6  # the latents whose spread is the unit of a traversal
    UNCERTAINTY = 7  # the latents whose texts are compared
    DECODER_RESTART = 8  # the decoder's fresh weights after pretraining
    AGGREGATE = 10  # the latents to which a density of the aggregate posterior is fitted


def derive_seed(*numbers: int) -> int:
    """Return a seed below 2^63 that depends on all of the numbers and on their order."""
    # Sums or products of seeds would make neighboring seeds share streams; SeedSequence mixes them.
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


@contextmanager
def seeded(
    seed: int, stream: Stream | None = None, device: torch.device | None = None
) -> Iterator[None]:
    """Seed torch's random numbers inside the block, and restore their state after it.

    Args:
        seed: the seed, as the user gave it or as `derive_seed` made it.
        stream: the purpose of the random numbers; without one, the seed itself is used.
        device: the device whose state is restored in addition to the CPU's.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.manual_seed(seed if stream is None else derive_seed(seed, stream))
        yield
