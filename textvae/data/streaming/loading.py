"""Loading: the readers of one process, run by as many workers, and the position of each reader.

The position of a batch is recorded when the trainer takes it, not when a worker has
made it. Batches that a worker had ready when a run was interrupted are made again.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from textvae.data.batching import Batch
from textvae.data.corpus import DataSettings
from textvae.data.parallel_tokenization import disable_tokenizer_threads, return_unchanged
from textvae.data.streaming.readers import StreamBatch, StreamPlan, StreamPosition, StreamReader
from textvae.data.streaming.sample import STREAM_FILE
from textvae.data.training_batches import TrainingBatches
from textvae.errors import CheckpointError, ConfigError, TextVAEError


class StreamLoader(TrainingBatches):
    """Batches without end, for one process of a run.

    Args:
        plan: what all readers share.
        rank: the number of this process.
        workers: worker processes, each with one reader; with 0, this process reads itself.
    """

    def __init__(self, plan: StreamPlan, rank: int, workers: int) -> None:
        self.plan = plan
        self.workers = workers
        self.is_first = rank == 0
        self.readers = range(rank * max(1, workers), (rank + 1) * max(1, workers))
        self.positions = dict.fromkeys(self.readers, StreamPosition())
        self.batches_taken = 0
        self.counts: Counter[str] = Counter()
        self.damaged_files: dict[str, str] = {}
        self.record: dict[str, Any] = {}  # state of the whole run at its last checkpoint

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches from the current positions on.

        Raises:
            DataError: a file is damaged, or a reader finds no sentence.
        """
        for batch in self.iterate_batches():
            self._track(batch)
            yield batch.batch

    def iterate_batches(self) -> Iterator[StreamBatch]:
        """Yield the batches of the readers, one reader after another, without tracking them."""
        # DataLoader asks its workers in turn, starting with the first. After an interruption
        # the readers are rotated, so that the one whose turn it was comes first.
        turn = self.batches_taken % len(self.readers)
        readers = [*self.readers[turn:], *self.readers[:turn]]
        positions = [(reader, self.positions[reader]) for reader in readers]
        loader: DataLoader[Any] = DataLoader(
            _ReaderDataset(self.plan, positions),
            batch_size=None,
            collate_fn=return_unchanged,
            num_workers=self.workers,
            worker_init_fn=disable_tokenizer_threads,
            # Without a generator of its own, the loader would draw a seed from the run's, and
            # a resumed run would draw one more.
            generator=torch.Generator(),
        )
        for batch in loader:
            if isinstance(batch, TextVAEError):
                raise batch
            yield batch

    @property
    def batches_per_epoch(self) -> None:
        """None: readers go from epoch to epoch without end."""
        return None

    def build_loader(self) -> "StreamLoader":
        """Return the loader itself."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the readers count their epochs themselves."""

    def iterate_additional(self, taken: int) -> Iterator[Batch]:
        """Refuse: a stream can be read only once."""
        raise second_reading_error()

    def state_dict(self) -> dict[str, Any]:
        """Return the positions of all readers of the run, as JSON; every process must call this."""
        states = gather_object([(self.positions, self.counts, self.damaged_files)])
        positions: dict[str, Any] = {}
        counts: Counter[str] = Counter()
        damaged: dict[str, str] = {}
        for process_positions, process_counts, process_damaged in states:
            for reader, position in process_positions.items():
                positions[str(reader)] = astuple(position)
            counts += process_counts
            damaged |= process_damaged
        # These keys are those of existing checkpoints: "lanes" are readers.
        self.record = {
            "lanes": self.plan.reader_count,
            "taken": self.batches_taken,
            "places": positions,
            "counts": dict(counts),
            "damaged": damaged,
        }
        return self.record

    def load_state_dict(self, state: Any) -> None:
        """Continue from a state that `state_dict` returned.

        Raises:
            CheckpointError: the stream was divided among another number of readers.
        """
        if state["lanes"] != self.plan.reader_count:
            raise CheckpointError(
                f"the stream was divided among {state['lanes']} readers (processes x "
                f"training.workers), and now there are {self.plan.reader_count}; "
                "use as many processes and workers as before."
            )
        self.record = state
        for reader in self.readers:
            self.positions[reader] = StreamPosition(*state["places"][str(reader)])
        self.batches_taken = state["taken"]
        self.damaged_files = dict(state["damaged"])
        # The counts are sums over all processes, so only one of them may continue them.
        self.counts = Counter(state["counts"] if self.is_first else {})

    def describe_reading(self) -> dict[str, Any]:
        """Return what the whole run had read at its last checkpoint."""
        return {"stream": self.record}

    def _track(self, batch: StreamBatch) -> None:
        """Record a batch's position and report; warn once about each damaged file."""
        self.positions[batch.reader] = batch.position
        self.batches_taken += 1
        if batch.report is None:
            return
        self.counts.update(batch.report.counts)
        for file, message in batch.report.notices:
            if file not in self.damaged_files:
                self.damaged_files[file] = message
                tqdm.write(f"warning: {message}", file=sys.stderr)


class _ReaderDataset(IterableDataset[StreamBatch | TextVAEError]):
    """The batches of one reader: that of this worker, or the only one if there are no workers."""

    def __init__(self, plan: StreamPlan, positions: list[tuple[int, StreamPosition]]) -> None:
        self.plan = plan
        self.positions = positions

    def __iter__(self) -> Iterator[StreamBatch | TextVAEError]:
        """Yield batches and, at the end, an error if there was one.

        An error that a worker raises would arrive with the worker's traceback in its
        message. The training process raises a yielded one unchanged.
        """
        worker = get_worker_info()
        reader, position = self.positions[worker.id if worker else 0]
        try:
            yield from StreamReader(self.plan, reader).read_batches(position)
        except TextVAEError as error:
            yield error


def second_reading_error() -> ConfigError:
    """Return the error of a technique that needs additional batches from a stream."""
    return ConfigError(
        "objective.techniques.aggressive trains the encoder on additional batches, but a stream "
        "can be read only once: leave it out, or set data.streaming=false."
    )


def open_stream(
    folder: Path,
    data: DataSettings,
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    batch_tokens: int,
    batch_sentences: int | None,
    workers: int,
    rank: int = 0,
    processes: int = 1,
) -> StreamLoader:
    """Return the stream of a prepared run.

    Args:
        folder: the run's corpus folder.
        seed: shuffles the files and sentences.
        batch_tokens: most tokens of a whole batch; each process takes its share of them.
        batch_sentences: most sentences of a whole batch; None for no limit.
        workers: worker processes per training process; with 0, these read themselves.
        rank: the number of this process.
        processes: the number of training processes.
    """
    record = json.loads((folder / STREAM_FILE).read_text())
    plan = StreamPlan(
        files=record["files"],
        held_out_fingerprints=frozenset(record["held_out"]),
        data=data,
        tokenizer=tokenizer,
        seed=seed,
        max_batch_tokens=max(1, batch_tokens // processes),
        max_batch_sentences=batch_sentences and max(1, batch_sentences // processes),
        reader_count=processes * max(1, workers),
    )
    return StreamLoader(plan, rank, workers)
