"""Loading: the readers of one process, each run by a worker, and how far each of them is.

A reader's position moves when the trainer takes a batch, not when a worker makes one.
After an interruption, batches that were ready but not taken are made again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from textvae.data.batching import Batch, Collator
from textvae.data.parallel_tokenization import prepare_tokenizing_worker, return_unchanged
from textvae.data.settings import DataSettings
from textvae.data.streaming.readers import StreamBatch, StreamPlan, StreamPosition, StreamReader
from textvae.data.streaming.sample import STREAM_FILE
from textvae.data.training_batches import TrainingBatches
from textvae.errors import CheckpointError, ConfigError, TextVAEError
from textvae.messages import print_warning
from textvae.runtime.files import read_json
from textvae.runtime.workers import choose_worker_context


class StreamLoader(TrainingBatches):
    """Batches without end, for one process of a run.

    Args:
        plan: what all readers share.
        rank: the number of this process.
        workers: worker processes, each with one reader; with 0, this process reads itself.

    Attributes:
        readers: the numbers of this process's readers.
        positions: the position of each of them.
        batches_taken: the number of batches that the trainer has taken.
        counts: lines kept and left out, and damage skipped, in this process.
        damaged_files: the notice of each damaged file, by its name.
        run_state: the state of the whole run at its last checkpoint; empty before it.
        is_over: whether nothing more will be read.
    """

    def __init__(self, plan: StreamPlan, rank: int, workers: int) -> None:
        self.plan = plan
        self.workers = workers
        self.is_first_process = rank == 0
        readers_here = max(1, workers)
        self.readers = range(rank * readers_here, (rank + 1) * readers_here)
        self.positions = dict.fromkeys(self.readers, StreamPosition())
        self.batches_taken = 0
        self.counts: Counter[str] = Counter()
        self.damaged_files: dict[str, str] = {}
        self.run_state: dict[str, Any] = {}
        self.is_over = False

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches from the current positions on, and move the positions.

        Raises:
            DataError: a file is damaged, or a reader finds no sentence.
        """
        for batch in self.iterate_batches():
            self._track(batch)
            yield batch.batch

    def iterate_batches(self) -> Iterator[StreamBatch]:
        """Yield batches, one of each reader in turn, without moving the positions."""
        # DataLoader asks its workers in turn, starting with the first. Rotate the readers so
        # that a resumed run continues with the one whose turn it was.
        turn = self.batches_taken % len(self.readers)
        readers = [*self.readers[turn:], *self.readers[:turn]]
        positions = [(reader, self.positions[reader]) for reader in readers]
        loader: DataLoader[Any] = DataLoader(
            _ReaderDataset(self.plan, positions),
            batch_size=None,
            collate_fn=return_unchanged,
            num_workers=self.workers,
            multiprocessing_context=choose_worker_context(self.workers),
            worker_init_fn=prepare_tokenizing_worker,
            # Without a generator of its own, the loader would take a number from the run's
            # generator, and a resumed run would take one more.
            generator=torch.Generator(),
        )
        for batch in loader:
            if isinstance(batch, TextVAEError):  # see `_ReaderDataset`
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
        """Raise an error: a stream can be read only once.

        Raises:
            ConfigError: always.
        """
        raise build_second_reading_error()

    def state_dict(self) -> dict[str, Any]:
        """Return the positions of all readers of the run, as JSON; every process must call this."""
        if self.is_over:
            return self.run_state
        states = gather_object([(self.positions, self.counts, self.damaged_files)])
        positions: dict[str, Any] = {}
        counts: Counter[str] = Counter()
        damaged: dict[str, str] = {}
        for process_positions, process_counts, process_damaged in states:
            for reader, position in process_positions.items():
                positions[str(reader)] = astuple(position)
            counts += process_counts
            damaged |= process_damaged
        self.run_state = {
            "reader_count": self.plan.reader_count,
            "taken": self.batches_taken,
            "positions": positions,
            "counts": dict(counts),
            "damaged": damaged,
        }
        return self.run_state

    def load_state_dict(self, state: Any, *, is_over: bool = False) -> None:
        """Continue from a state that `state_dict` returned.

        Args:
            is_over: nothing more will be read, so any number of readers can load the state.

        Raises:
            CheckpointError: the stream was divided among another number of readers.
        """
        self.is_over = is_over
        if is_over:
            self.run_state = state
            return
        if state["reader_count"] != self.plan.reader_count:
            raise CheckpointError(
                f"the stream was divided among {state['reader_count']} readers (processes x "
                f"training.workers), and now there are {self.plan.reader_count}; "
                "use as many processes and workers as before."
            )
        self.run_state = state
        for reader in self.readers:
            self.positions[reader] = StreamPosition(*state["positions"][str(reader)])
        self.batches_taken = state["taken"]
        self.damaged_files = dict(state["damaged"])
        # The counts are sums over all processes, so only one of them may continue them.
        self.counts = Counter(state["counts"] if self.is_first_process else {})

    def describe_reading(self) -> dict[str, Any]:
        """Return what the whole run had read at its last checkpoint."""
        return {"stream": self.run_state}

    def _track(self, batch: StreamBatch) -> None:
        """Note the position and report of a taken batch; warn once about each damaged file."""
        self.positions[batch.reader] = batch.position
        self.batches_taken += 1
        if batch.report is None:
            return
        self.counts.update(batch.report.counts)
        for file, message in batch.report.notices:
            if file not in self.damaged_files:
                self.damaged_files[file] = message
                print_warning(message)


class _ReaderDataset(IterableDataset[StreamBatch | TextVAEError]):
    """The batches of one reader: that of this worker, or the first one if there are no workers.

    Args:
        plan: what all readers share.
        positions: the number and position of each reader, in the order of the workers.
    """

    def __init__(self, plan: StreamPlan, positions: list[tuple[int, StreamPosition]]) -> None:
        self.plan = plan
        self.positions = positions

    def __iter__(self) -> Iterator[StreamBatch | TextVAEError]:
        """Yield batches and, at the end, an error if there was one.

        If a worker raised the error, it would arrive with the worker's traceback in its
        message. It is yielded instead, and the training process raises it unchanged.
        """
        worker = get_worker_info()
        reader, position = self.positions[worker.id if worker else 0]
        try:
            yield from StreamReader(self.plan, reader).read_batches(position)
        except TextVAEError as error:
            yield error


def _read_stream_record(file: Path) -> dict[str, Any]:
    """Return what a run's corpus folder says about its stream: the files, and what is held out.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        record = read_json(file)
        is_whole = all(isinstance(name, str) for name in record["files"])
        is_whole = is_whole and all(isinstance(number, int) for number in record["held_out"])
        if not is_whole or not isinstance(record["files"], list):
            raise ValueError("its entries have other types than expected")
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{file}: is damaged ({error}). Copy the whole run again.") from error
    return dict(record)


def build_second_reading_error() -> ConfigError:
    """Return the error for a technique that needs additional batches of a streamed corpus."""
    return ConfigError(
        "objective.techniques.aggressive trains the encoder on additional batches, but a stream "
        "can be read only once: leave it out, or set data.streaming=false."
    )


def open_stream(
    folder: Path,
    data: DataSettings,
    collator: Collator,
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
        data: the settings of the corpus.
        collator: makes the batches; it has the tokenizer of the run.
        seed: shuffles the files and sentences.
        batch_tokens: most tokens of a whole batch; each process takes its share of them.
        batch_sentences: most sentences of a whole batch; None for no limit.
        workers: worker processes per training process; with 0, each training process reads itself.
        rank: the number of this process.
        processes: the number of training processes.
    """
    record = _read_stream_record(folder / STREAM_FILE)
    max_batch_sentences = None
    if batch_sentences is not None:
        max_batch_sentences = max(1, batch_sentences // processes)
    plan = StreamPlan(
        files=record["files"],
        held_out_fingerprints=frozenset(record["held_out"]),
        data=data,
        collator=collator,
        seed=seed,
        max_batch_tokens=max(1, batch_tokens // processes),
        max_batch_sentences=max_batch_sentences,
        reader_count=processes * max(1, workers),
    )
    return StreamLoader(plan, rank, workers)
