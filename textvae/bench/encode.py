"""Encoding speed: the time for one sentence, and sentences per second for many."""

import statistics
import time
from typing import Any

from textvae.bench.case import BenchmarkCase
from textvae.bench.memory import PeakMemory
from textvae.inference.encode import encode as encode_texts

_SINGLE_SENTENCES = 100  # sentences encoded one by one
_MANY_SENTENCES = 20_000  # sentences encoded in one call


def encode(case: BenchmarkCase) -> dict[str, Any]:
    """Return sentences per second, and the median milliseconds for one sentence alone.

    Both include tokenization. The model is untrained, which does not change the speed.
    """
    case.bundle.model.eval()
    texts = case.train[:_MANY_SENTENCES]["text"]
    encode_texts(case.bundle, texts[:1000])  # warm up
    times = [_time_encoding(case, [text]) for text in texts[:_SINGLE_SENTENCES]]
    with PeakMemory(case.device) as memory:
        seconds = _time_encoding(case, texts)
    return {
        "sentences_per_second": len(texts) / seconds,
        "sentences": len(texts),
        "ms_one_sentence": 1000 * statistics.median(times),
        **memory.describe(),
    }


def _time_encoding(case: BenchmarkCase, texts: list[str]) -> float:
    """Return the seconds it takes to encode the texts."""
    start = time.perf_counter()
    encode_texts(case.bundle, texts)
    return time.perf_counter() - start
