"""The training batches of one process: their contract, and those of a prepared corpus.

The batches of a stream are in `data/streaming/loading.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import count, islice
from typing import Any, Protocol

import torch
from datasets import Dataset
from torch.utils.data import DataLoader

from textvae.data.batching import Batch, Collator, LengthBuckets
from textvae.runtime.seeds import Stream, derive_seed
from textvae.runtime.workers import choose_worker_context, prepare_worker


class CorpusTraining(Protocol):
    """The settings of training that concern its corpus: those of batches, and when the run ends."""

    @property
    def seed(self) -> int:
        """The seed of the order of the batches."""

    @property
    def batch_tokens(self) -> int:
        """Most tokens in a batch, padding included, summed over all processes."""

    @property
    def batch_sentences(self) -> int | None:
        """Most sentences in a batch, summed over all processes; None for no limit."""

    @property
    def workers(self) -> int:
        """Worker processes that load batches, per training process."""

    @property
    def epochs(self) -> float | None:
        """Passes over the corpus after which the run ends; None for no limit."""

    @property
    def steps(self) -> int | None:
        """Steps after which the run ends; None for no limit."""

    @property
    def max_minutes(self) -> float | None:
        """Minutes after which the run ends; None for no limit."""


class TrainingBatches(ABC):
    """The training batches of one process, and what a checkpoint saves of them."""

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int | None:
        """The number of batches in one pass over the corpus; None for a stream without end."""

    @abstractmethod
    def build_loader(self) -> Iterable[Batch]:
        """Return this process's share of the batches of an epoch, or of a stream without end."""

    @abstractmethod
    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose batches the loader yields next."""

    @abstractmethod
    def iterate_additional(self, taken: int) -> Iterator[Batch]:
        """Yield additional batches without end, in another order than those of the loader.

        Args:
            taken: how many of them were taken before the run was resumed.

        Raises:
            ConfigError: the corpus can be read only once.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any] | None:
        """Return what a resumed run needs, as JSON, or None; every process must call this."""

    @abstractmethod
    def load_state_dict(self, state: Any, *, is_over: bool = False) -> None:
        """Continue from a state that `state_dict` returned.

        Args:
            is_over: no more batches will be taken.
        """

    @abstractmethod
    def describe_reading(self) -> dict[str, Any]:
        """Return entries for the log of training, about the reading of the corpus."""


class BucketBatches(TrainingBatches):
    """The batches of a prepared corpus: sentences of similar length from a tokenized split.

    The step determines the epoch, and the epoch determines the order, so a checkpoint needs
    no state.

    Args:
        sentences: the tokenized training split.
        buckets: the indices of the sentences of each batch.
        collator: turns sentences into tensors.
        workers: processes that load batches; with 0, this process loads them.
    """

    def __init__(
        self, sentences: Dataset, buckets: LengthBuckets, collator: Collator, workers: int
    ) -> None:
        self.sentences = sentences
        self.buckets = buckets
        self.collator = collator
        self.workers = workers

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches in one pass over the corpus."""
        return len(self.buckets)

    def build_loader(self) -> DataLoader[Any]:
        """Return the batches of an epoch."""
        return DataLoader(
            self.sentences,
            batch_sampler=self.buckets,
            collate_fn=self.collator,
            num_workers=self.workers,
            multiprocessing_context=choose_worker_context(self.workers),
            worker_init_fn=prepare_worker,
            # Without a generator of its own, the loader would take a number from the
            # run's generator in each epoch.
            generator=torch.Generator(),
            persistent_workers=self.workers > 0,
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order of the batches."""
        self.buckets.set_epoch(epoch)

    def iterate_additional(self, taken: int) -> Iterator[Batch]:
        """Yield additional batches without end; each epoch has an order of its own."""
        buckets = copy(self.buckets)
        buckets.seed = derive_seed(self.buckets.seed, Stream.ENCODER_BATCHES)
        first_epoch, skipped = divmod(taken, len(buckets))
        for epoch in count(first_epoch):
            buckets.set_epoch(epoch)
            for indices in islice(buckets, skipped, None):
                yield self.collator(self.sentences.__getitems__(indices))
            skipped = 0  # only the first epoch starts in the middle

    def state_dict(self) -> None:
        """Return None: nothing needs to be saved."""
        return

    def load_state_dict(self, state: Any, *, is_over: bool = False) -> None:
        """Do nothing: the step alone determines the batches."""

    def describe_reading(self) -> dict[str, Any]:
        """Return no entries: each epoch reads every sentence once."""
        return {}
