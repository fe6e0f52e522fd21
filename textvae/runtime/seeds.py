"""Random seeds: one stream of random numbers for each purpose, all derived from the user's seed.

If two purposes drew from the same stream, their results would be correlated: the
first words of a generated sentence, for example, would follow from its latent.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum, unique
from hashlib import blake2b

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
    TRAINING_NOISE = 9  # what each process of a run samples while it trains
    AGGREGATE = 10  # the latents to which a density of the aggregate posterior is fitted
    VARIATIONS = 11  # the latents around a sentence
    ROWS = 12  # what is sampled for the later rows of a file


def derive_seed(*numbers: int) -> int:
    """Return a seed below 2^63 that depends on all of the numbers and on their order."""
    # Sums or products of seeds would make neighboring seeds share streams; SeedSequence mixes them.
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def derive_noise_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed, below 2^32, of the noise that a process of a run draws from a step on.

    It is the run's own seed for the first process of a new run, and thus for a run of one
    process. Sums of seed, step and rank would not do: the second process of seed 1 would draw
    the noise that the first process of seed 2 draws.
    """
    if step == 0 and rank == 0:
        return seed
    # numpy's generator, which is seeded, too, takes 32 bits.
    return derive_seed(seed, Stream.TRAINING_NOISE, step, rank) % 2**32


def derive_sentence_seed(seed: int, token_ids: Sequence[int]) -> int:
    """Return a seed below 2^63 that depends on a seed and on the tokens of one sentence.

    It is the same on every machine, wherever the sentence is in a file or a batch.
    """
    tokens = np.asarray(token_ids, dtype="<i8").tobytes()  # the same bytes on every machine
    digest = blake2b(tokens, digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return int.from_bytes(digest, "little") >> 1


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


@contextmanager
def global_seeds_restored() -> Iterator[None]:
    """Restore the random states of Python, of NumPy, and of torch on the CPU after the block.

    A training seeds all of them; what its caller draws should not depend on that.
    """
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    try:
        with torch.random.fork_rng([]):  # not of GPUs, which it would initialize, all of them
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
