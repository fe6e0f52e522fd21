"""Batches of a data set for inference: sentences of similar length, with a limit on the tokens."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from tqdm import tqdm

from textvae.data.arrow import read_number_column
from textvae.data.batching import Batch, LengthBuckets
from textvae.inference.bundle import Bundle
from textvae.runtime.processes import Processes
from textvae.runtime.seeds import derive_seed, derive_sentence_seed
from textvae.terminal import is_bar_hidden

_DEFAULT_BATCH_TOKENS = 8192


def iterate_batches(
    bundle: Bundle,
    dataset: Dataset,
    seed: int,
    processes: Processes,
    batch_tokens: int = _DEFAULT_BATCH_TOKENS,
    progress: str | None = None,
) -> Iterator[tuple[list[int], Batch]]:
    """Yield this process's batches, each with the row numbers of its sentences in the data set.

    A batch has `noise_seeds`, (batch,), a seed for each sentence that depends on `seed` and on
    the sentence's own tokens. A sentence that is sampled with it has the same samples of z
    whatever else is in the data set. Sentences that occur twice have the same samples.

    Args:
        seed: the seed from which each sentence's own seed is made.
        processes: the processes that share the batches.
        batch_tokens: the most tokens in a batch, padding included.
        progress: the title of a progress bar; without one, no bar is shown.
    """
    buckets = LengthBuckets(read_number_column(dataset, "length"), batch_tokens, None, seed=0)
    progress_bar = tqdm(
        buckets,
        desc=progress,
        total=len(buckets),
        unit="batch",
        disable=is_bar_hidden(progress is not None),
    )
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        for number, indices in enumerate(progress_bar):
            if number % processes.count != processes.rank:
                continue
            # For numbers drawn in other ways than with `noise_seeds`: they do not depend on how
            # many processes share the work.
            torch.manual_seed(derive_seed(seed, number))
            columns = dataset[indices]
            batch = bundle.make_batch(columns["input_ids"], columns.get(bundle.label_column))
            states = bundle.collator.collate_states(_list_rows(columns))
            batch |= {name: value.to(bundle.device) for name, value in states.items()}
            seeds = [derive_sentence_seed(seed, ids) for ids in columns["input_ids"]]
            batch["noise_seeds"] = torch.tensor(seeds)
            yield indices, batch


def _list_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a slice of a data set, which are read column by column."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
