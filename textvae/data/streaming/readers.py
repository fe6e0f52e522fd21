"""Readers: how the files are divided among all readers, and the batches that one reader makes.

There are as many readers as worker processes in all training processes together.
In each epoch the files are shuffled and divided again. If there are fewer files
than readers, several readers share a file, each taking every n-th row. A reader
reads a pool of sentences, makes batches of similar length from it, and yields these
in random order. Readers go from epoch to epoch independently of each other.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from textvae.data.batching import Batch, Collator, LengthBuckets
from textvae.data.cleaning import Cleaner, fingerprint_sentence
from textvae.data.corpus import extract_text
from textvae.data.parallel_tokenization import cut_tokens
from textvae.data.settings import DataSettings
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.tokenization import encode_batch
from textvae.errors import DataError

# Epochs without a sentence after which a reader gives up. One is not enough: files are
# divided again in each epoch, so a reader may happen to get only empty ones.
_MAX_EMPTY_EPOCHS = 10

_FilePart = tuple[str, int, int]  # a file, the part of its rows from 0, the number of parts


@dataclass(frozen=True)
class StreamPosition:
    """How far a reader is: where its current pool starts, and how many of its batches were used.

    Attributes:
        epoch: the number of complete passes over the files.
        file_part: index of the file part in which the pool starts, in the order in which
            this reader reads its share in this epoch.
        row: how many rows at the beginning of that file were read before the pool.
        pool: the number of pools before this one in the epoch.
        batch: how many batches of the pool were used.
    """

    epoch: int = 0
    file_part: int = 0
    row: int = 0
    pool: int = 0
    batch: int = 0


@dataclass(frozen=True)
class _ReadReport:
    """What happened while a pool was read."""

    counts: Counter[str]  # lines kept and left out, `corrupt rows` and `broken files`
    notices: list[tuple[str, str]]  # (file, message) of damage that was skipped


@dataclass(frozen=True)
class StreamBatch:
    """A batch, with the number of its reader and the position after it."""

    batch: Batch
    reader: int
    position: StreamPosition
    report: _ReadReport | None  # only with the first batch of a pool


@dataclass(frozen=True)
class StreamPlan:
    """What all readers of a run share: the files, who reads what, and how batches are made.

    Attributes:
        files: paths or URLs of the training files.
        held_out_fingerprints: of the sentences that are never yielded.
        data: how rows are read and cleaned, and the size of a pool.
        collator: makes the batches; it has the tokenizer of the run.
        seed: shuffles the files, sentences and batches.
        max_batch_tokens: most tokens in a batch of a reader, padding included.
        max_batch_sentences: most sentences in a batch of a reader; None for no limit.
        reader_count: the number of readers of all processes together.
    """

    files: list[str]
    held_out_fingerprints: frozenset[int]
    data: DataSettings
    collator: Collator
    seed: int
    max_batch_tokens: int
    max_batch_sentences: int | None
    reader_count: int

    def assign_file_parts(self, reader: int, epoch: int) -> list[_FilePart]:
        """Return the file parts that a reader reads in an epoch, in order."""
        # Rounded up, so that there is at least one part for each reader.
        parts = -(-self.reader_count // len(self.files))
        file_parts = [(file, part, parts) for file in self.files for part in range(parts)]
        # All readers compute the same permutation, so they need not communicate.
        order = np.random.default_rng((self.seed, epoch)).permutation(len(file_parts))
        return [file_parts[index] for index in order[reader :: self.reader_count]]


class StreamReader:
    """Makes batches from the share of the files that one reader has.

    Args:
        plan: what all readers share.
        number: the number of this reader, from 0.
    """

    def __init__(self, plan: StreamPlan, number: int) -> None:
        self.plan = plan
        self.number = number
        self.row_reader = StreamFileReader(plan.data, [plan.data.text_column])
        self.cleaner = Cleaner(plan.data)
        self.collate = plan.collator.collate

    def read_batches(self, position: StreamPosition) -> Iterator[StreamBatch]:
        """Yield batches from a position on, without end.

        Raises:
            DataError: a file is damaged, or this reader finds no sentence.
        """
        empty_epochs = 0
        while empty_epochs < _MAX_EMPTY_EPOCHS:
            start = position
            sentences = self._read_sentences(position)
            while pool := list(islice(sentences, self.plan.data.buffer)):
                yield from self._make_batches([text for _, _, text in pool], position)
                file_part, row, _ = pool[-1]
                position = StreamPosition(position.epoch, file_part, row, position.pool + 1)
            if position == start:  # nothing was found in this epoch
                empty_epochs += 1
            else:
                empty_epochs = 0
            position = StreamPosition(position.epoch + 1)
        raise DataError(
            f"there is no sentence for reader {self.number + 1} of {self.plan.reader_count}: "
            f"all its files were empty in {_MAX_EMPTY_EPOCHS} epochs. "
            "Give more files, or fewer training.workers."
        )

    def _read_sentences(self, position: StreamPosition) -> Iterator[tuple[int, int, str]]:
        """Yield the clean sentences of the rest of an epoch.

        Yields:
            The index of the file part, the number of the row from 1, and the sentence.
        """
        start = position.row
        column = self.plan.data.text_column
        file_parts = self.plan.assign_file_parts(self.number, position.epoch)
        remaining = file_parts[position.file_part :]
        for index, (file, part, parts) in enumerate(remaining, start=position.file_part):
            for row, values in self.row_reader.read_rows(file, start, part, parts):
                try:
                    text = self.cleaner(extract_text(values, column, row))
                except DataError as error:
                    self.row_reader.report_damage("corrupt rows", file, f"row {row:,}: {error}")
                    continue
                if text is None:
                    continue
                if fingerprint_sentence(text) in self.plan.held_out_fingerprints:
                    self.cleaner.counts["also_held_out"] += 1
                else:
                    yield index, row, text
            start = 0  # only the first file is read from the middle

    def _make_batches(self, texts: list[str], start: StreamPosition) -> Iterator[StreamBatch]:
        """Yield the batches of a pool that were not used before `start`."""
        plan = self.plan
        report = self._take_report()
        tokenizer = plan.collator.tokenizer
        encoded = encode_batch(tokenizer, texts)
        most = plan.data.max_tokens
        ids = [cut_tokens(tokenizer, row, most)[0] if len(row) > most else row for row in encoded]
        # The seed depends on the position alone, so a resumed run makes the same batches.
        seeds = np.random.SeedSequence((plan.seed, self.number, start.epoch, start.pool))
        buckets = LengthBuckets(
            [len(row) for row in ids],
            plan.max_batch_tokens,
            plan.max_batch_sentences,
            int(seeds.generate_state(1)[0]),
        )
        for number, indices in enumerate(buckets, start=1):
            if number <= start.batch:
                continue
            yield StreamBatch(
                self.collate([ids[index] for index in indices]),
                self.number,
                replace(start, batch=number),
                report if number == 1 else None,
            )

    def _take_report(self) -> _ReadReport:
        """Return what happened since the last report, and start a new one."""
        counts = self.cleaner.counts + self.row_reader.counts
        report = _ReadReport(counts, list(self.row_reader.notices))
        self.cleaner.counts.clear()
        self.row_reader.counts.clear()
        self.row_reader.notices.clear()
        return report
