"""Training speed, and how close it comes to the speed of the largest kernels alone."""

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from textvae.bench.case import BenchmarkCase, BenchmarkTrainer, wait_for_device
from textvae.data.batching import Batch
from textvae.model.modeling import IGNORED_LABEL, TextVAEModel

_WARMUP_STEPS = 10
_KERNEL_BATCHES = 12  # batches on which the kernels are timed alone
_KERNEL_PASSES = 5  # passes over these batches


def train(case: BenchmarkCase) -> dict[str, Any]:
    """Return training tokens per second, and how fast the largest kernels alone would be.

    Tokens are the words to predict and the ends of sentences; padding does not count.
    """
    trainer = BenchmarkTrainer(case)
    for _ in range(_WARMUP_STEPS):
        trainer.train_step()
    wait_for_device(case.device)
    tokens = 0
    steps = 0
    recent_batches: deque[Batch] = deque(maxlen=_KERNEL_BATCHES)
    start = time.perf_counter()
    while time.perf_counter() - start < case.seconds:
        batch = trainer.train_step()
        tokens += _count_tokens(batch)
        steps += 1
        recent_batches.append(batch)
    wait_for_device(case.device)
    seconds = time.perf_counter() - start
    kernel_speed = _measure_kernel_speed(trainer, list(recent_batches))
    return {
        "tokens_per_second": tokens / seconds,
        "ms_per_step": 1000 * seconds / steps,
        "kernels_alone_tokens_per_second": kernel_speed,
        "share_of_kernels_alone": tokens / seconds / kernel_speed,
        "seconds": seconds,
    }


def _count_tokens(batch: Batch) -> int:
    """Return the number of tokens that the decoder is scored on."""
    return int((batch["labels"] != IGNORED_LABEL).sum())


def _measure_kernel_speed(trainer: BenchmarkTrainer, batches: list[Batch]) -> float:
    """Return the tokens per second of a step that consists of its largest kernels only.

    They are the matrix products of the output projection and the recurrent layers
    of encoder and decoder, forward and backward. The result is an upper bound on
    the speed of training, from the median time of several passes over the batches.
    """
    pass_seconds = []
    for _ in range(_KERNEL_PASSES):
        with trainer.autocast:
            pass_seconds.append(sum(_time_kernels(trainer.model, batch) for batch in batches))
    return sum(_count_tokens(batch) for batch in batches) / statistics.median(pass_seconds)


def _time_kernels(model: Any, batch: Batch) -> float:
    """Return the seconds that the largest kernels take on one batch."""
    # Training computes logits at real tokens only, but runs the LSTMs over padding as well.
    seconds = _time_products(model, _count_tokens(batch))
    for cells in (*model.encoder.forwards, model.decoder.cells):
        seconds += _time_recurrent_layer(cells, batch["input_ids"])
    return seconds


def _time_products(model: TextVAEModel, rows: int) -> float:
    """Return the seconds of the output projection's three products, for `rows` tokens.

    One product gives the logits; the backward pass needs one for the gradient of
    the states and one for the gradient of the weight, unless the weight is frozen.
    """
    is_trained = model.decoder.output_weight.requires_grad
    weight = model.decoder.output_weight.detach()
    # Autocast does not apply to tensors of the same type, so cast once, outside the clock.
    if torch.is_autocast_enabled(weight.device.type):
        weight = weight.to(torch.get_autocast_dtype(weight.device.type))
    states = torch.randn(rows, weight.shape[1], device=weight.device, dtype=weight.dtype)
    logits = torch.mm(states, weight.t())

    def multiply() -> None:
        torch.mm(states, weight.t())
        torch.mm(logits, weight)
        if is_trained:
            torch.mm(logits.t(), states)

    with torch.no_grad():
        return _time_second_call(multiply)


def _time_recurrent_layer(cells: nn.Module, ids: Tensor) -> float:
    """Return the seconds of one recurrent layer, forward and backward; ids are (batch, length)."""
    assert isinstance(cells, nn.RNNBase)
    inputs = torch.randn(*ids.shape, cells.input_size, device=ids.device, requires_grad=True)
    upstream = torch.randn(*ids.shape, cells.hidden_size, device=ids.device)

    def run_both_passes() -> None:
        states, _ = cells(inputs)
        states.backward(upstream.to(states.dtype))

    seconds = _time_second_call(run_both_passes)
    cells.zero_grad()  # the gradients came from random inputs
    return seconds


def _time_second_call(function: Callable[[], None]) -> float:
    """Call a function twice and return the seconds of the second call; the first warms up."""
    function()
    # torch initializes CUDA when a tensor is first put on a GPU.
    device = torch.device("cuda" if torch.cuda.is_initialized() else "cpu")
    wait_for_device(device)
    start = time.perf_counter()
    function()
    wait_for_device(device)
    return time.perf_counter() - start
