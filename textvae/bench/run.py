"""Benchmarks: how fast this machine trains, decodes, scores and encodes, at the sizes papers use.

Each is a function of a `Case` that returns one flat record; `run` adds the
machine, the versions and the settings.
"""

from collections.abc import Callable
from typing import Any

from textvae.bench.case import Case, prepared
from textvae.bench.decode import decode
from textvae.bench.encode import encode
from textvae.bench.likelihood import likelihood
from textvae.bench.machine import machine
from textvae.bench.train import train
from textvae.schema import choose

BENCHES: dict[str, Callable[[Case], dict[str, Any]]] = {
    "train": train,
    "decode": decode,
    "likelihood": likelihood,
    "encode": encode,
}


def run(name: str, size: str, corpus: str, device: str | None, seconds: float) -> dict[str, Any]:
    """Return the record of one benchmark.

    Raises:
        ConfigError: there is no such benchmark or size.
        DataError: the corpus cannot be read.
    """
    bench = choose(BENCHES, name, "bench")
    with prepared(size, corpus, device, seconds) as case:
        return {"benchmark": name, "size": size, "corpus": corpus, **bench(case), **machine(case.device)}
