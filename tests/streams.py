"""Small streams for tests: sentences in several files, and the lanes that read them."""

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from tests.corpora import write
from textvae.data.cleaning import fingerprint_sentence
from textvae.data.corpus import DataSettings
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


def dealing(
    files: list[str], lanes: int = 1, seed: int = 1, held: Iterable[str] = (), **data
) -> StreamPlan:
    """Return how these files are dealt, with small pools and batches."""
    settings = DataSettings(**{"buffer": 17, **data})
    return StreamPlan(
        files,
        frozenset(map(fingerprint_sentence, held)),
        settings,
        TOKENIZER,
        seed,
        200,
        None,
        lanes,
    )


def epoch_of(dealt: StreamPlan, lane: int = 0, epoch: int = 0) -> list[StreamBatch]:
    """Return what a lane serves in one epoch."""
    return list(
        takewhile(
            lambda served: served.place.epoch == epoch,
            StreamReader(dealt, lane).batches(StreamPosition(epoch)),
        )
    )


def read(dealt: StreamPlan, epoch: int = 0) -> list[str]:
    """Return the sentences that all lanes serve in one epoch, lane after lane."""
    return [
        text
        for lane in range(dealt.lanes)
        for served in epoch_of(dealt, lane, epoch)
        for text in texts(served)
    ]


def texts(served: StreamBatch) -> list[str]:
    """Return a batch's sentences."""
    return decode_batch(TOKENIZER, served.batch["encoder_input_ids"].tolist())


def loaders(dealt: StreamPlan, processes: int, workers: int) -> list[StreamLoader]:
    """Return a loader for each process."""
    return [StreamLoader(dealt, rank, workers) for rank in range(processes)]
