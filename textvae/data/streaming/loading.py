"""Loading: the lanes of one process, read by as many workers, and where each lane stands.

The place of a batch is noted when the trainer takes it, not when a worker has
made it: what a worker had ready when a run was interrupted is made again.
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
from textvae.errors import CheckpointError, TextVAEError


class StreamLoader:
    """Batches without end, for one process of a run.

    Args:
        dealing: what all lanes share.
        rank: this process among those of the run.
        workers: processes that read, a lane each; with 0 this one reads a lane itself.
    """

    def __init__(self, dealing: StreamPlan, rank: int, workers: int) -> None:
        self.dealing, self.workers = dealing, workers
        self.is_first = rank == 0
        self.lanes = range(rank * max(1, workers), (rank + 1) * max(1, workers))
        self.places = dict.fromkeys(self.lanes, StreamPosition())
        self.taken = 0  # batches; the lanes take turns
        self.counts: Counter[str] = Counter()
        self.damaged: dict[str, str] = {}
        self.record: dict[str, Any] = {}  # of the whole run, as of its last checkpoint

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches from where the lanes stand.

        Raises:
            DataError: a file is damaged, or a lane has no sentence.
        """
        for served in self.served():
            self.note(served)
            yield served.batch

    def served(self) -> Iterator[StreamBatch]:
        """Yield what the lanes serve, in turn."""
        turn = self.taken % len(self.lanes)
        lanes = [*self.lanes[turn:], *self.lanes[:turn]]
        loader: DataLoader[Any] = DataLoader(
            _ReaderDataset(self.dealing, [(lane, self.places[lane]) for lane in lanes]),
            batch_size=None,
            collate_fn=return_unchanged,
            num_workers=self.workers,
            worker_init_fn=disable_tokenizer_threads,
            generator=torch.Generator(),  # its own, or a resumed run would draw from the run's once more
        )
        for served in loader:
            if isinstance(served, TextVAEError):
                raise served
            yield served

    def note(self, served: StreamBatch) -> None:
        """Keep a batch's place and news; say which files are damaged, once each."""
        self.places[served.lane] = served.place
        self.taken += 1
        if served.news is None:
            return
        self.counts.update(served.news.counts)
        for file, message in served.news.notices:
            if file not in self.damaged:
                self.damaged[file] = message
                tqdm.write(f"warning: {message}", file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        """Return where all lanes of the run stand, as JSON; every process must ask."""
        states = gather_object([(self.places, self.counts, self.damaged)])
        self.record = {
            "lanes": self.dealing.lanes,
            "taken": self.taken,
            "places": {
                str(lane): astuple(place)
                for places, _, _ in states
                for lane, place in places.items()
            },
            "counts": dict(sum((counts for _, counts, _ in states), Counter())),
            "damaged": {
                file: message for _, _, damaged in states for file, message in damaged.items()
            },
        }
        return self.record

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over.

        Raises:
            CheckpointError: the stream was dealt among another number of lanes.
        """
        if state["lanes"] != self.dealing.lanes:
            raise CheckpointError(
                f"the stream was dealt among {state['lanes']} readers (processes x training.workers), and now there "
                f"are {self.dealing.lanes}; go on with as many processes as before."
            )
        self.record = state
        self.places = {lane: StreamPosition(*state["places"][str(lane)]) for lane in self.lanes}
        self.taken = state["taken"]
        self.damaged = dict(state["damaged"])
        self.counts = Counter(state["counts"] if self.is_first else {})


class _ReaderDataset(IterableDataset[StreamBatch | TextVAEError]):
    """The lanes of one process, each from its place: a worker reads its own, without workers there is but one."""

    def __init__(self, dealing: StreamPlan, places: list[tuple[int, StreamPosition]]) -> None:
        self.dealing, self.places = dealing, places

    def __iter__(self) -> Iterator[StreamBatch | TextVAEError]:
        """Yield batches; an error is yielded too, for the trainer's process to raise it as it is."""
        worker = get_worker_info()
        lane, place = self.places[worker.id if worker else 0]
        try:
            yield from StreamReader(self.dealing, lane).batches(place)
        except TextVAEError as error:
            yield error


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
        batch_tokens, batch_sentences: the most of a whole batch; each process takes its part of this budget.
        workers: processes that read for each of those that train; with 0 they read themselves.
        rank, processes: this process, and how many train together.
    """
    record = json.loads((folder / STREAM_FILE).read_text())
    dealing = StreamPlan(
        files=record["files"],
        held=frozenset(record["held_out"]),
        data=data,
        tokenizer=tokenizer,
        seed=seed,
        tokens=max(1, batch_tokens // processes),
        sentences=batch_sentences and max(1, batch_sentences // processes),
        lanes=processes * max(1, workers),
    )
    return StreamLoader(dealing, rank, workers)
