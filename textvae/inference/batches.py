"""Batches of sentences for a model at work, sorted by length and bounded in tokens."""

from collections.abc import Iterator

import torch
from datasets import Dataset
from tqdm import tqdm

from textvae.data.arrow import read_number_column
from textvae.data.batching import Batch, LengthBuckets
from textvae.inference.bundle import Bundle
from textvae.runtime.processes import Processes

_DEFAULT_BATCH_TOKENS = 8192


def iterate_batches(
    bundle: Bundle,
    dataset: Dataset,
    seed: int,
    processes: Processes,
    tokens: int = _DEFAULT_BATCH_TOKENS,
    progress: str | None = None,
) -> Iterator[tuple[list[int], Batch]]:
    """Yield places and padded batches of like length, this process's share of them; `progress` names a bar.

    Each batch has a seed of its own: what is drawn for a sentence does not
    depend on the number of processes.
    """
    buckets = LengthBuckets(read_number_column(dataset, "length"), tokens, None, seed=0)
    shown = tqdm(buckets, desc=progress, total=len(buckets), unit="batch", disable=progress is None)
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        for number, places in enumerate(shown):
            if number % processes.count == processes.rank:
                torch.manual_seed(
                    (seed * 1_000_003 + number) % 2**63
                )  # the largest seed there may be
                rows = dataset[places]
                yield places, bundle.batch(rows["input_ids"], rows.get(bundle.label_column))
