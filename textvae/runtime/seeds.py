"""Seeds derived from seeds, so that draws made for different ends never share their random numbers."""

import numpy as np


def derive_seed(*numbers: int) -> int:
    """Return a seed below 2^63 that depends on all of the numbers (by NumPy's `SeedSequence`)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
