"""Shares: each process's part of every batch of an epoch; none may be left without a sentence."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.data.batching import LengthBuckets
from textvae.errors import ConfigError
from textvae.runtime.processes import Processes
from textvae.settings.training import TrainingSettings

_BUDGET_GROWTH = 1.25  # of the budget that is tried next


def share_buckets(
    lengths: NDArray[Any], training: TrainingSettings, processes: Processes
) -> LengthBuckets:
    """Return the batches, this process's share of each.

    Raises:
        ConfigError: the smallest batch has fewer sentences than there are processes.
    """
    budget, most = training.batch_tokens, training.batch_sentences
    buckets = LengthBuckets(lengths, budget, most, training.seed, processes.rank, processes.count)
    if buckets.smallest < processes.count:
        enough = _find_token_budget(lengths, training, processes.count)
        mend = f"Set training.batch_tokens={enough}, or start" if enough else "Start"
        limit = "" if most is None else f" (and training.batch_sentences = {most})"
        raise ConfigError(
            f"with training.batch_tokens = {budget}{limit} the smallest batch has {buckets.smallest} of the "
            f"{processes.count} sentences that as many processes need. {mend} {buckets.smallest} at most."
        )
    return buckets


def _find_token_budget(lengths: NDArray[Any], training: TrainingSettings, count: int) -> int | None:
    """Return a budget of tokens with which every batch has `count` sentences, or None if there is none."""
    longest = int(np.max(lengths)) + 1
    budget = max(training.batch_tokens, count * longest)
    while budget < _BUDGET_GROWTH * longest * len(lengths):
        if (
            LengthBuckets(lengths, budget, training.batch_sentences, training.seed).smallest
            >= count
        ):
            return budget
        budget = int(budget * _BUDGET_GROWTH) + 1
    return None
