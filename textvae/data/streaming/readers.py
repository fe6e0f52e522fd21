"""Lanes: the files dealt among all readers, and one reader's share of them as batches.

There are as many lanes as worker processes on all ranks together. In each epoch
the files are shuffled and dealt anew; where they are fewer than the lanes, a
file is read by several lanes, each taking every n-th row. A lane reads a pool
of sentences, makes batches of like length of it and yields these in an order
drawn for this pool. Lanes go from epoch to epoch at their own pace.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from transformers import PreTrainedTokenizerBase

from textvae.data.batching import Batch, Collator, LengthBuckets
from textvae.data.cleaning import Cleaner, fingerprint_sentence
from textvae.data.corpus import DataSettings, extract_text
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.tokenization import encode_batch
from textvae.errors import DataError

_MAX_EMPTY_EPOCHS = 10  # epochs in a row; files are dealt anew, so a lane may get empty ones only


_FilePart = tuple[str, int, int]  # a file, and which of how many parts of its rows


@dataclass(frozen=True)
class StreamPosition:
    """Where a lane stands: the start of a pool, and how many of its batches have been taken."""

    epoch: int = 0
    piece: int = 0  # in the lane's order of this epoch
    row: int = 0
    pool: int = 0
    batch: int = 0


@dataclass(frozen=True)
class _ReadReport:
    """What reading a pool has counted (sentences by their fate, damage) and noticed (file, message)."""

    counts: Counter[str]
    notices: list[tuple[str, str]]


@dataclass(frozen=True)
class StreamBatch:
    """A batch, the lane it is from, the place after it; with a pool's first batch, the news of reading it."""

    batch: Batch
    lane: int
    place: StreamPosition
    news: _ReadReport | None


@dataclass(frozen=True)
class StreamPlan:
    """What all lanes of a run share: the files, who takes what, and how batches are made."""

    files: list[str]
    held: frozenset[int]  # fingerprints of the held-out sentences
    data: DataSettings
    tokenizer: PreTrainedTokenizerBase
    seed: int
    tokens: int  # most places in a batch
    sentences: int | None  # most sentences in a batch
    lanes: int

    def pieces(self, lane: int, epoch: int) -> list[_FilePart]:
        """Return what a lane reads in an epoch, in order."""
        parts = -(-self.lanes // len(self.files))
        pieces = [(file, part, parts) for file in self.files for part in range(parts)]
        order = np.random.default_rng((self.seed, epoch)).permutation(len(pieces))
        return [pieces[number] for number in order[lane :: self.lanes]]


class StreamReader:
    """One reader's share."""

    def __init__(self, dealing: StreamPlan, lane: int) -> None:
        self.dealing, self.lane = dealing, lane
        self.reader = StreamFileReader(dealing.data, [dealing.data.text_column])
        self.cleaner = Cleaner(dealing.data)
        self.collate = Collator(dealing.tokenizer).collate

    def batches(self, place: StreamPosition) -> Iterator[StreamBatch]:
        """Yield batches from a place on, without end.

        Raises:
            DataError: a file is damaged, or the lane has no sentence.
        """
        empty = 0
        while empty < _MAX_EMPTY_EPOCHS:
            flow, start = self.sentences(place), place
            while pool := list(islice(flow, self.dealing.data.buffer)):
                yield from self.batches_of([text for _, _, text in pool], place)
                piece, row, _ = pool[-1]
                place = StreamPosition(place.epoch, piece, row, place.pool + 1)
            empty = empty + 1 if place == start else 0
            place = StreamPosition(place.epoch + 1)
        raise DataError(
            f"there is no sentence for reader {self.lane + 1} of {self.dealing.lanes}: all its files are empty, "
            f"{_MAX_EMPTY_EPOCHS} epochs long. Give more files, or fewer training.workers."
        )

    def sentences(self, place: StreamPosition) -> Iterator[tuple[int, int, str]]:
        """Yield the clean sentences of the rest of an epoch, each with the piece and row it is from."""
        start, column = place.row, self.dealing.data.text_column
        pieces = self.dealing.pieces(self.lane, place.epoch)
        for number, (file, part, parts) in enumerate(pieces[place.piece :], start=place.piece):
            for row, raw in self.reader.rows(file, start, part, parts):
                try:
                    text = self.cleaner(extract_text(raw, column, row))
                except DataError as error:
                    self.reader.pass_over("corrupt rows", file, f"row {row:,}: {error}")
                    continue
                if text is None:
                    continue
                if fingerprint_sentence(text) in self.dealing.held:
                    self.cleaner.counts["also_held_out"] += 1
                else:
                    yield number, row, text
            start = 0

    def batches_of(self, texts: list[str], start: StreamPosition) -> Iterator[StreamBatch]:
        """Yield a pool's batches that have not been taken yet."""
        dealing, news = self.dealing, self.news()
        ids = [row[: dealing.data.max_tokens] for row in encode_batch(dealing.tokenizer, texts)]
        seeds = np.random.SeedSequence(
            (dealing.seed, self.lane, start.epoch, start.pool)
        ).generate_state(1)
        buckets = LengthBuckets(
            [len(row) for row in ids], dealing.tokens, dealing.sentences, int(seeds[0])
        )
        for number, batch in enumerate(buckets, start=1):
            if number > start.batch:
                place = replace(start, batch=number)
                sentences = [ids[index] for index in batch]
                yield StreamBatch(
                    self.collate(sentences), self.lane, place, news if number == 1 else None
                )

    def news(self) -> _ReadReport:
        """Return what was counted and noticed since this was last asked."""
        news = _ReadReport(self.cleaner.counts + self.reader.counts, list(self.reader.notices))
        for kept in (self.cleaner.counts, self.reader.counts, self.reader.notices):
            kept.clear()
        return news
