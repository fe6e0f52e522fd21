"""Speed of the importance-sampled likelihood, in sentences times samples per second."""

import itertools
import time
from typing import Any

import numpy as np
import torch

from textvae.bench.case import BenchmarkCase
from textvae.bench.memory import PeakMemory
from textvae.bench.training import train_briefly
from textvae.data.arrow import read_number_column
from textvae.inference.batches import iterate_batches
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.processes import SINGLE_PROCESS

_IMPORTANCE_SAMPLES = 500  # per sentence, as in most papers


def likelihood(case: BenchmarkCase) -> dict[str, Any]:
    """Return how many sentences times importance samples are done per second.

    The speed is measured in tokens and converted to sentences of the test split's
    mean length. There is time for a few batches only, each with sentences of
    similar length, so a count of sentences would depend on which batches come first.
    """
    bundle = train_briefly(case)
    batches = list(
        iterate_batches(
            bundle,
            case.test,
            seed=0,
            processes=SINGLE_PROCESS,
            batch_tokens=LIKELIHOOD_BATCH_TOKENS,
        )
    )
    endless = itertools.cycle(batches)
    lengths = np.add(read_number_column(case.test, "length"), 1)  # + 1: the end of the sentence
    sentences = 0
    tokens = 0
    start = time.perf_counter()
    with PeakMemory(case.device) as memory, torch.no_grad():
        while (seconds := time.perf_counter() - start) < case.seconds:
            indices, batch = next(endless)
            sample_log_weights(bundle, batch, _IMPORTANCE_SAMPLES)
            sentences += len(indices)
            tokens += int(lengths[indices].sum())
    speed = _IMPORTANCE_SAMPLES * tokens / float(lengths.mean()) / seconds
    return {
        "sentence_samples_per_second": speed,
        "samples": _IMPORTANCE_SAMPLES,
        "sentences": sentences,
        **memory.describe(),
    }
