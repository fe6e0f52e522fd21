"""Encoding speed: how long one sentence takes, and how many a second when there are many."""

import statistics
import time
from typing import Any

from textvae.bench.case import Case
from textvae.inference.encode import encode as encode_texts

SINGLE = 100  # sentences encoded one by one


MANY = 20_000


def encode(case: Case) -> dict[str, Any]:
    """Return sentences per second, and the median milliseconds of one sentence; tokenising included."""
    case.bundle.model.eval()
    texts = case.train[:MANY]["text"]
    encode_texts(case.bundle, texts[:1000])
    times = [seconds_of(case, [text]) for text in texts[:SINGLE]]
    return {
        "sentences_per_second": len(texts) / seconds_of(case, texts),
        "sentences": len(texts),
        "ms_one_sentence": 1000 * statistics.median(times),
    }


def seconds_of(case: Case, texts: list[str]) -> float:
    """Return the seconds that encoding these texts takes."""
    start = time.perf_counter()
    encode_texts(case.bundle, texts)
    return time.perf_counter() - start
