"""Training speed, and how close it comes to the speed of the largest kernels alone."""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from textvae.bench.case import BenchmarkCase
from textvae.bench.memory import PeakMemory
from textvae.bench.training import TimedTraining, train_for, wait_for_device
from textvae.data.batching import Batch
from textvae.model.modeling import IGNORED_LABEL
from textvae.runtime.device import compute_in_bf16

_KERNEL_BATCHES = 12  # batches on which the kernels are timed alone
_KERNEL_PASSES = 5  # passes over these batches


def train(case: BenchmarkCase) -> dict[str, Any]:
    """Return training tokens per second, and how fast the largest kernels alone would be.

    Tokens are the words to predict and the ends of sentences; padding does not count.
    """
    with PeakMemory(case.device) as memory:
        training = train_for(case, case.seconds)
    kernel_speed = measure_kernel_speed(case, training)
    speed = training.tokens / training.seconds
    return {
        "tokens_per_second": speed,
        "ms_per_step": 1000 * training.seconds / len(training.indices),
        "kernels_alone_tokens_per_second": kernel_speed,
        "share_of_kernels_alone": speed / kernel_speed,
        "seconds": training.seconds,
        **memory.describe(),
        **_describe_state(case.bundle.model),
    }


def _describe_state(model: nn.Module) -> dict[str, float]:
    """Return the MB of the weights, and of their gradients and the two moments of AdamW."""
    sizes = [weight.nbytes for weight in model.parameters()]
    trained = [weight.nbytes for weight in model.parameters() if weight.requires_grad]
    return {"weights_mb": sum(sizes) / 1e6, "gradients_and_moments_mb": 3 * sum(trained) / 1e6}


def _count_tokens(batch: Batch) -> int:
    """Return the number of tokens that the decoder is scored on."""
    return int((batch["labels"] != IGNORED_LABEL).sum())


def measure_kernel_speed(case: BenchmarkCase, training: TimedTraining) -> float:
    """Return the tokens per second of a step that consists of its largest kernels only.

    They are the matrix products of the output projection, and the recurrent or linear
    layers of encoder and decoder, forward and backward. The result is an upper bound on
    the speed of training, from the median time of several passes over the batches.
    """
    collator = case.bundle.collator
    batches = []
    for indices in training.indices[-_KERNEL_BATCHES:]:
        batch = collator(case.train.__getitems__(indices))
        batches.append({name: tensor.to(case.device) for name, tensor in batch.items()})
    pass_seconds = []
    for _ in range(_KERNEL_PASSES):
        with compute_in_bf16(case.device):
            pass_seconds.append(sum(_time_kernels(case.bundle.model, batch) for batch in batches))
    return sum(_count_tokens(batch) for batch in batches) / statistics.median(pass_seconds)


def _time_kernels(model: Any, batch: Batch) -> float:
    """Return the seconds that the largest kernels take on one batch."""
    # Training computes logits at real tokens only, but runs the layers over padding as well.
    projection = model.decoder.output_weight
    seconds = _time_products(projection, _count_tokens(batch))
    linear: Counter[tuple[int, ...]] = Counter()
    for module in (*model.encoder.modules(), *model.decoder.modules()):
        if isinstance(module, nn.RNNBase):
            seconds += _time_recurrent_layer(module, batch["input_ids"])
        elif isinstance(module, nn.Linear) and module.weight is not projection:
            linear[tuple(module.weight.shape)] += 1
        elif isinstance(module, Conv1D):  # GPT-2's linear layer, with its weight transposed
            linear[tuple(module.weight.t().shape)] += 1
    for shape, count in linear.items():
        weight = torch.randn(shape, device=projection.device, requires_grad=True)
        seconds += count * _time_products(weight, batch["input_ids"].numel())
    return seconds


def _time_products(weight: Tensor, rows: int) -> float:
    """Return the seconds of the three products of a linear layer, for `rows` tokens.

    One product gives the outputs; the backward pass needs one for the gradient of
    the inputs and one for the gradient of the weight, (outputs, inputs), unless it is frozen.
    """
    is_trained = weight.requires_grad
    weight = weight.detach()
    # Autocast does not apply to tensors of the same type, so cast once, outside the clock.
    if torch.is_autocast_enabled(weight.device.type):
        weight = weight.to(torch.get_autocast_dtype(weight.device.type))
    inputs = torch.randn(rows, weight.shape[1], device=weight.device, dtype=weight.dtype)
    outputs = torch.mm(inputs, weight.t())

    def multiply() -> None:
        torch.mm(inputs, weight.t())
        torch.mm(outputs, weight)
        if is_trained:
            torch.mm(outputs.t(), inputs)

    with torch.no_grad():
        return _time_second_call(multiply)


def _time_recurrent_layer(cells: nn.RNNBase, ids: Tensor) -> float:
    """Return the seconds of one recurrent layer, forward and backward; ids are (batch, length)."""
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
