"""Share batches among processes: each process gets at least one sentence of every batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textvae.data.batching import LengthBuckets
from textvae.data.training_batches import CorpusTraining
from textvae.errors import ConfigError
from textvae.runtime.processes import Processes

_BUDGET_GROWTH = 1.25  # factor from one token budget that is tried to the next


def share_buckets(
    lengths: NDArray[Any], training: CorpusTraining, processes: Processes
) -> LengthBuckets:
    """Return this process's share of the batches of each epoch.

    Args:
        lengths: tokens of each training sentence, (n,), without start or end token.
        training: the sizes of batches, and the seed of their order.
        processes: the rank of this process, and the number of all processes.

    Raises:
        ConfigError: the smallest batch has fewer sentences than there are processes. DDP needs
            a gradient from every process in every step.
    """
    max_sentences = training.batch_sentences
    buckets = LengthBuckets(
        lengths,
        training.batch_tokens,
        max_sentences,
        training.seed,
        processes.rank,
        processes.count,
    )
    if buckets.smallest_batch >= processes.count:
        return buckets
    limits = f"training.batch_tokens = {training.batch_tokens}"
    if max_sentences is not None:
        limits += f" (and training.batch_sentences = {max_sentences})"
    advice = f"Reduce the number of processes to {buckets.smallest_batch}"
    sufficient_budget = _find_token_budget(lengths, training, processes.count)
    if sufficient_budget is not None:
        advice = (
            f"Set training.batch_tokens={sufficient_budget}, or reduce the number of processes to "
            f"{buckets.smallest_batch}"
        )
    raise ConfigError(
        f"with {limits} the number of sentences in the smallest batch is "
        f"{buckets.smallest_batch}, but each of the {processes.count} processes needs one. "
        f"{advice}."
    )


def _find_token_budget(lengths: NDArray[Any], training: CorpusTraining, count: int) -> int | None:
    """Return a token budget that gives every batch `count` sentences or more, or None."""
    longest = int(np.max(lengths)) + 1  # with the start or end token
    budget = max(training.batch_tokens, count * longest)
    # Beyond this bound all sentences are in one batch, and a larger budget changes nothing.
    while budget < _BUDGET_GROWTH * longest * len(lengths):
        buckets = LengthBuckets(lengths, budget, training.batch_sentences, training.seed)
        if buckets.smallest_batch >= count:
            return budget
        budget = int(budget * _BUDGET_GROWTH) + 1
    return None
