"""Speed of the likelihood by importance sampling, in sentence-samples per second."""

import itertools
import time
from typing import Any

import torch

from textvae.bench.case import Case, briefly_trained
from textvae.measures.evidence import batches
from textvae.measures.likelihood import BATCH_TOKENS, log_weights
from textvae.processes import ALONE

SAMPLES = 500  # as papers use


def likelihood(case: Case) -> dict[str, Any]:
    """Return sentences times importance samples per second, over the case's seconds."""
    bundle = briefly_trained(case)
    flow = itertools.cycle(list(batches(bundle, case.test, 0, ALONE, BATCH_TOKENS)))
    done, start = 0, time.perf_counter()
    with torch.no_grad():
        while (seconds := time.perf_counter() - start) < case.seconds:
            places, batch = next(flow)
            log_weights(bundle, batch, SAMPLES)
            done += len(places)
    return {"sentence_samples_per_second": SAMPLES * done / seconds, "samples": SAMPLES, "sentences": done}
