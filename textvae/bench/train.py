"""Training speed, and how much of a step the matrix products and the recurrent kernels would take alone."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from textvae.bench.case import BenchmarkCase, BenchmarkTrainer, wait_for_device
from textvae.data.batching import Batch
from textvae.model.modeling import IGNORED_LABEL, TextVAEModel

_WARMUP_STEPS = 10


_KERNEL_BATCHES = 12  # batches the kernels are run on alone


_KERNEL_PASSES = 5  # over them


def train(case: BenchmarkCase) -> dict[str, Any]:
    """Return tokens per second (words to predict and ends of sentences, no padding) and the share of the kernels."""
    trainee = BenchmarkTrainer(case)
    for _ in range(_WARMUP_STEPS):
        trainee.step()
    wait_for_device(case.device)
    start, tokens, steps = time.perf_counter(), 0, 0
    kept: list[Batch] = []
    while time.perf_counter() - start < case.seconds:
        batch = trainee.step()
        tokens, steps = tokens + int((batch["labels"] != IGNORED_LABEL).sum()), steps + 1
        kept = [*kept[1 - _KERNEL_BATCHES :], batch]
    wait_for_device(case.device)
    seconds = time.perf_counter() - start
    alone = _measure_kernel_speed(trainee, kept)
    return {
        "tokens_per_second": tokens / seconds,
        "ms_per_step": 1000 * seconds / steps,
        "kernels_alone_tokens_per_second": alone,
        "share_of_kernels_alone": tokens / seconds / alone,
        "seconds": seconds,
    }


def _measure_kernel_speed(trainee: BenchmarkTrainer, batches: list[Batch]) -> float:
    """Return tokens per second if a step were its matrix products and recurrent kernels only: the median pass."""
    model: Any = trainee.model
    counts = [int((batch["labels"] != IGNORED_LABEL).sum()) for batch in batches]
    passes = []
    for _ in range(_KERNEL_PASSES):
        with trainee.autocast:
            passes.append(
                sum(
                    _time_products(model, count)
                    + sum(
                        _time_recurrent_layer(cells, batch["input_ids"])
                        for cells in (*model.encoder.forwards, model.decoder.cells)
                    )
                    for batch, count in zip(batches, counts, strict=True)
                )
            )
    return sum(counts) / statistics.median(passes)


def _time_products(model: TextVAEModel, rows: int) -> float:
    """Return the seconds of the projection's three products, forward and backward."""
    weight = model.decoder.output_weight.detach()
    dtype = (
        torch.get_autocast_dtype(weight.device.type)
        if torch.is_autocast_enabled(weight.device.type)
        else None
    )
    weight = weight.to(dtype) if dtype else weight
    states = torch.randn(rows, weight.shape[1], device=weight.device, dtype=weight.dtype)
    scores = torch.mm(states, weight.t())
    with torch.no_grad():
        return _time_second_call(
            lambda: (
                torch.mm(states, weight.t()),
                torch.mm(scores, weight),
                torch.mm(scores.t(), states),
            )
        )


def _time_recurrent_layer(cells: nn.Module, ids: Tensor) -> float:
    """Return the seconds of one recurrent layer, forward and backward."""
    assert isinstance(cells, nn.RNNBase)
    inputs = torch.randn(*ids.shape, cells.input_size, device=ids.device, requires_grad=True)
    upstream = torch.randn(*ids.shape, cells.hidden_size, device=ids.device)

    def both() -> None:
        states, _ = cells(inputs)
        states.backward(upstream.to(states.dtype))

    seconds = _time_second_call(both)
    cells.zero_grad()
    return seconds


def _time_second_call(work: Any) -> float:
    """Return the seconds of the second of two runs."""
    work()
    device = torch.device("cuda" if torch.cuda.is_initialized() else "cpu")
    wait_for_device(device)
    start = time.perf_counter()
    work()
    wait_for_device(device)
    return time.perf_counter() - start
