"""Speed of the likelihood by importance sampling, in sentence-samples per second."""

import itertools
import time
from typing import Any

import numpy as np
import torch

from textvae.bench.case import Case, briefly_trained
from textvae.data.arrow import column
from textvae.inference.batches import batches
from textvae.inference.likelihood import BATCH_TOKENS, log_weights
from textvae.runtime.processes import ALONE

SAMPLES = 500  # as papers use


def likelihood(case: Case) -> dict[str, Any]:
    """Return sentences times importance samples per second, over the case's seconds.

    Counted in tokens and told in sentences of the test split's mean length: few batches are measured, each of
    sentences of one length.
    """
    bundle = briefly_trained(case)
    flow = itertools.cycle(list(batches(bundle, case.test, 0, ALONE, BATCH_TOKENS)))
    lengths = np.add(column(case.test, "length"), 1)  # the end is counted
    sentences, tokens, start = 0, 0, time.perf_counter()
    with torch.no_grad():
        while (seconds := time.perf_counter() - start) < case.seconds:
            places, batch = next(flow)
            log_weights(bundle, batch, SAMPLES)
            sentences, tokens = sentences + len(places), tokens + int(lengths[places].sum())
    speed = SAMPLES * tokens / float(lengths.mean()) / seconds
    return {"sentence_samples_per_second": speed, "samples": SAMPLES, "sentences": sentences}
