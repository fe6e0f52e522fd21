"""Run a benchmark: how fast this machine trains, decodes, scores or encodes.

Each benchmark is a function that takes a `BenchmarkCase` and returns one flat
record; `run_benchmark` adds the machine, the versions and the settings.
"""

from collections.abc import Callable
from typing import Any

from textvae.bench.case import BenchmarkCase, prepare_case
from textvae.bench.decode import decode
from textvae.bench.encode import encode
from textvae.bench.likelihood import likelihood
from textvae.bench.train import train
from textvae.bench.whole_run import whole_run
from textvae.runtime.machine import describe_machine
from textvae.schema import choose

BENCHMARKS: dict[str, Callable[[BenchmarkCase], dict[str, Any]]] = {
    "train": train,
    "run": whole_run,
    "decode": decode,
    "likelihood": likelihood,
    "encode": encode,
}


def run_benchmark(
    name: str,
    size: str = "B",
    corpus: str = "captions",
    device: str | None = None,
    seconds: float = 30.0,
) -> dict[str, Any]:
    """Return the record of one benchmark.

    Args:
        name: a key of `BENCHMARKS`.
        size: a key of `MODEL_SIZES`.
        corpus: what `textvae train` accepts as a corpus.
        device: cpu or cuda; by default a GPU if there is one.
        seconds: how long `decode` and `likelihood` train first, and how long `train`, `run` and
            `likelihood` measure. `decode` and `encode` measure a fixed number of sentences.

    Raises:
        ConfigError: the benchmark, the size or the device is unknown.
        DataError: the corpus cannot be read.
    """
    benchmark = choose(BENCHMARKS, name, "bench")
    with prepare_case(size, corpus, device, seconds) as case:
        return {
            "benchmark": name,
            "size": size,
            "corpus": corpus,
            **benchmark(case),
            **describe_machine(case.device),
        }
