"""Small streams for tests: sentences in several files, and the readers of them."""

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

from tests.corpora import write
from textvae.data.batching import Collator
from textvae.data.cleaning import fingerprint_sentence
from textvae.data.settings import DataSettings
from textvae.data.streaming.loading import StreamLoader
from textvae.data.streaming.readers import StreamBatch, StreamPlan, StreamPosition, StreamReader
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, decode_batch

TOKENIZER = build_tokenizer(TokenizerSettings(kind="byte"), [])
SENTENCES = [f"{'very ' * (n % 5)}small sentence {n}" for n in range(120)]


def write_shards(
    folder: Path, sentences: Iterable[str] = SENTENCES, count: int = 5, suffix: str = ".txt"
) -> list[str]:
    """Write sentences to files, of unequal sizes; return their names."""
    shares: list[list[str]] = [[] for _ in range(count)]
    for number, sentence in enumerate(sentences):
        shares[(number * number + number // 3) % count].append(sentence)
    files = [folder / f"part-{number}{suffix}" for number in range(count)]
    return [
        write(file, "".join(f"{line}\n" for line in share))
        for file, share in zip(files, shares, strict=True)
    ]


def build_plan(
    files: list[str], readers: int = 1, seed: int = 1, held_out: Iterable[str] = (), **data: Any
) -> StreamPlan:
    """Return the plan of a stream of these files, with small pools and batches."""
    return StreamPlan(
        files=files,
        held_out_fingerprints=frozenset(map(fingerprint_sentence, held_out)),
        data=DataSettings(**{"buffer": 17, **data}),
        collator=Collator(TOKENIZER),
        seed=seed,
        max_batch_tokens=200,
        max_batch_sentences=None,
        reader_count=readers,
    )


def read_epoch(plan: StreamPlan, reader: int = 0, epoch: int = 0) -> list[StreamBatch]:
    """Return the batches of one reader in one epoch."""
    batches = StreamReader(plan, reader).read_batches(StreamPosition(epoch))
    return list(takewhile(lambda batch: batch.position.epoch == epoch, batches))


def read(plan: StreamPlan, epoch: int = 0) -> list[str]:
    """Return the sentences of all readers in one epoch, one reader after another."""
    sentences = []
    for reader in range(plan.reader_count):
        for batch in read_epoch(plan, reader, epoch):
            sentences += texts(batch)
    return sentences


def texts(batch: StreamBatch) -> list[str]:
    """Return a batch's sentences."""
    return decode_batch(TOKENIZER, batch.batch["encoder_input_ids"].tolist())


def build_loaders(plan: StreamPlan, processes: int, workers: int) -> list[StreamLoader]:
    """Return a loader for each process."""
    return [StreamLoader(plan, rank, workers) for rank in range(processes)]
