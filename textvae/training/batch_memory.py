"""Refuse batches that cannot fit into memory, before the first step.

What a step keeps for its backward pass grows with the number of sentences. Forward passes
over one and over two sentences of the largest batch say by how much, whatever the parts of
the model are; attention, which grows with the square of the length, is included.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from textvae.data.arrow import read_number_column
from textvae.data.batching import LengthBuckets
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.model.bases.memory import format_bytes, read_available_memory
from textvae.settings.training import TrainingSettings

# Batches of at most so many tokens are not checked: the weights need more memory than they do.
_SMALL_BATCH_TOKENS = 4096
# A weight and the two moments of Adam, in float32; its gradient comes when states have been freed.
_BYTES_PER_WEIGHT = 12


def check_batches_fit(
    bundle: Bundle,
    train: Dataset,
    settings: TrainingSettings,
    device: torch.device,
    *,
    processes: int,
    uses_bf16: bool,
    available: int | None = None,
) -> None:
    """Check that the largest batch of a corpus can be trained in the memory of a device.

    Args:
        bundle: the model to train, still on the CPU.
        train: the tokenized training split, or a sample of it.
        processes: how many processes share each batch.
        uses_bf16: whether products are in bf16.
        available: bytes that are free; default: those of the device.

    Raises:
        ConfigError: it does not fit; the message says what would.
    """
    lengths = read_number_column(train, "length")
    batch = _find_largest_batch(lengths, settings)
    tokens = len(batch) * (int(np.asarray(lengths)[batch].max()) + 1)
    if tokens <= _SMALL_BATCH_TOKENS * processes:
        return
    if available is None:
        available = read_available_memory(device)
    if available is None:
        return
    weights = _BYTES_PER_WEIGHT * sum(weight.numel() for weight in bundle.model.parameters())
    one = _measure_kept_bytes(bundle, train.select(batch[-1:]), uses_bf16)
    two = _measure_kept_bytes(bundle, train.select(2 * batch[-1:]), uses_bf16)
    per_sentence = max(1, two - one)
    sentences = -(-len(batch) // processes)
    needed = weights + sentences * per_sentence
    if needed <= available:
        return
    most = max(0, available - weights) // per_sentence * processes
    place = "on the GPU" if device.type == "cuda" else "on this machine"
    raise ConfigError(
        f"the largest batch has {len(batch):,} sentences of {tokens // len(batch):,} tokens, padding "
        f"included. Training on it needs at least {format_bytes(needed)}, and "
        f"{format_bytes(available)} are free {place}. "
        f"{_suggest_change(settings, most, tokens // len(batch))}"
    )


def _suggest_change(settings: TrainingSettings, most: int, length: int) -> str:
    """Return what to set, if so many sentences of this length fit."""
    if not most:
        return "Not even one sentence fits: lower data.max_tokens, or the sizes in model.*."
    # A little less, because batches of shorter sentences need a little more memory per token.
    budget = max(length, most * length * 9 // 10)
    change = f"training.batch_tokens={budget}"
    if settings.batch_sentences is not None and settings.batch_tokens > most * length:
        change = f"training.batch_sentences={most}"
    return f"Set {change}; training.accumulate adds up the gradients of several batches."


def _find_largest_batch(
    lengths: Sequence[int] | NDArray[Any], settings: TrainingSettings
) -> list[int]:
    """Return the sentences of the batch with the most tokens, padding included, by length."""
    buckets = LengthBuckets(
        lengths, settings.batch_tokens, settings.batch_sentences, seed=settings.seed
    )
    ordered = np.sort(buckets.lengths)
    ends = np.asarray(buckets.cuts[1:])
    sizes = np.diff(buckets.cuts) * (ordered[ends - 1] + 1)
    number = int(sizes.argmax())
    order = np.argsort(buckets.lengths, kind="stable")
    largest: list[int] = order[buckets.cuts[number] : buckets.cuts[number + 1]].tolist()
    return largest


def _measure_kept_bytes(bundle: Bundle, rows: Dataset, uses_bf16: bool) -> int:
    """Return the bytes that a forward pass over sentences keeps for its backward pass.

    The weights are left out. Dropout is off, because the statistics of the model must not change.
    """
    columns = rows[:]
    labels = columns.get(bundle.label_column) if bundle.label_column else None
    batch: dict[str, Any] = bundle.make_batch(columns["input_ids"], labels)
    known = {weight.untyped_storage().data_ptr() for weight in bundle.model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        """Note the memory of a tensor once, however many views of it are kept."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    bundle.model.eval()
    with (
        torch.random.fork_rng(devices=[]),
        torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16),
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
    ):
        output = bundle.model(**batch)
    assert output.loss is not None, "the batch has labels"
    return sum(kept.values())
