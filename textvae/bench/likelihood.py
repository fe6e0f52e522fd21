"""Speed of the likelihood by importance sampling, in sentence-samples per second."""

import itertools
import time
from typing import Any

import numpy as np
import torch

from textvae.bench.case import BenchmarkCase, train_briefly
from textvae.data.arrow import read_number_column
from textvae.inference.batches import iterate_batches
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.processes import SINGLE_PROCESS

_IMPORTANCE_SAMPLES = 500  # as papers use


def likelihood(case: BenchmarkCase) -> dict[str, Any]:
    """Return sentences times importance samples per second, over the case's seconds.

    Counted in tokens and told in sentences of the test split's mean length: few batches are measured, each of
    sentences of one length.
    """
    bundle = train_briefly(case)
    flow = itertools.cycle(
        list(iterate_batches(bundle, case.test, 0, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS))
    )
    lengths = np.add(read_number_column(case.test, "length"), 1)  # the end is counted
    sentences, tokens, start = 0, 0, time.perf_counter()
    with torch.no_grad():
        while (seconds := time.perf_counter() - start) < case.seconds:
            places, batch = next(flow)
            sample_log_weights(bundle, batch, _IMPORTANCE_SAMPLES)
            sentences, tokens = sentences + len(places), tokens + int(lengths[places].sum())
    speed = _IMPORTANCE_SAMPLES * tokens / float(lengths.mean()) / seconds
    return {
        "sentence_samples_per_second": speed,
        "samples": _IMPORTANCE_SAMPLES,
        "sentences": sentences,
    }
