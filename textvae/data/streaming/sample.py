"""The sample of a stream: the first rows of a few files, read before training starts.

The tokenizer, the tokens per sentence and the held-out splits come from the sample,
so a run on a corpus of any size starts equally fast. The stream never yields a
held-out sentence, not even a duplicate of it outside the sample.
"""

import json
import os.path
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from textvae.data.cleaning import Cleaner, fingerprint_sentence
from textvae.data.corpus import (
    HELD_OUT_SPLITS,
    TokenizerAndCounts,
    compute_held_out_size,
    extract_text,
    prepare_splits,
)
from textvae.data.named_splits import get_only_split
from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource
from textvae.data.streaming.files import find_stream_files, is_stream_only
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.tables import Row
from textvae.data.tokenization import TokenizerBuilder
from textvae.errors import ConfigError, DataError
from textvae.messages import print_note

_SAMPLED_FILES = 8  # files that a sample is taken from, if they have enough rows

STREAM_FILE = "stream.json"  # in a run's corpus folder: files and held-out fingerprints

_SampledRows = list[tuple[Row, str | None]]  # rows with their sentences; None if left out


def is_streamed(settings: DataSettings) -> bool:
    """Return whether the corpus of the settings is read as a stream.

    Raises:
        ConfigError: only a stream can read the corpus, but the settings forbid one.
    """
    only_streams = settings.corpus is not None and is_stream_only(settings.corpus)
    if only_streams and settings.streaming is False:
        raise ConfigError(
            f"{settings.corpus}: URLs and patterns are read as streams; leave data.streaming out."
        )
    if settings.streaming == "auto":
        return only_streams
    return settings.streaming


def prepare_stream(
    settings: DataSettings, seed: int, folder: Path, build: TokenizerBuilder
) -> TokenizerAndCounts:
    """Prepare a sample as `prepare_splits` prepares a corpus, and write `folder/stream.json`.

    `train.arrow` then contains the sample without the held-out sentences.

    Args:
        seed: chooses the held-out sentences.
        build: builds the tokenizer from the training sentences.

    Returns:
        The tokenizer, and the counts of cleaned and tokenized sentences of the sample.

    Raises:
        DataError: the corpus is missing, damaged, or too small to learn from.
    """
    assert settings.corpus is not None
    files = _find_files(settings)
    splits = _split_held_out(settings, seed, _read_sample(settings, files))
    # Clean sentences, because the readers of the stream clean theirs before they compare.
    fingerprints: set[int] = set()
    for split in HELD_OUT_SPLITS:
        fingerprints.update(map(fingerprint_sentence, _clean_sentences(splits[split])))
    sources = {split: _build_sample_source(sampled) for split, sampled in splits.items()}
    # The sources have the splits that the settings name already.
    unnamed = settings.model_copy(update={"validation": None, "test": None})
    tokenizer, counts = prepare_splits(unnamed, seed, folder, build, sources)
    record = {"files": files["train"], "held_out": sorted(fingerprints)}
    (folder / STREAM_FILE).write_text(json.dumps(record) + "\n")
    counts["stream"] = {"files": len(files["train"]), "counted": "a sample"}
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    return tokenizer, counts


def _find_files(settings: DataSettings) -> dict[str, list[str]]:
    """Return the files of each split of the corpus, or those that the settings name for it.

    Raises:
        DataError: no file is found.
    """
    assert settings.corpus is not None
    files = find_stream_files(settings.corpus, settings.unit)
    for split in HELD_OUT_SPLITS:
        name = getattr(settings, split)
        if name is not None:
            named = find_stream_files(name, settings.unit, needs_training_split=False)
            files[split] = get_only_split(named, name, f"data.{split}")
            held_out = set(map(os.path.realpath, files[split]))
            files["train"] = [
                file for file in files["train"] if os.path.realpath(file) not in held_out
            ]
    if not files["train"]:
        raise DataError(
            f"{settings.corpus}: all its files are held out; nothing is left to train on."
        )
    return files


def _read_sample(
    settings: DataSettings, files: Mapping[str, Sequence[str]]
) -> dict[str, _SampledRows]:
    """Return the first rows of each split that has files, with their clean sentences.

    Raises:
        DataError: a file is damaged, and damage is not to be skipped.
    """
    column = settings.text_column
    reader = StreamFileReader(settings, [column, *settings.label_columns])
    cleaner = Cleaner(settings)
    limits = {"train": settings.sample, **dict.fromkeys(HELD_OUT_SPLITS, settings.held_out_most)}
    sample: dict[str, _SampledRows] = {}
    for split in files:
        sample[split] = []
        for file, number, row in _read_first_rows(reader, files[split], limits[split]):
            try:
                text = extract_text(row, column, number)
            except DataError as error:
                reader.report_damage("corrupt rows", file, str(error))
                continue
            sample[split].append((row, cleaner(text)))
    return sample


def _read_first_rows(
    reader: StreamFileReader, files: Sequence[str], count: int
) -> Iterator[tuple[str, int, Row]]:
    """Yield `count` rows in all: the first ones of a few files, with the file and the number from 1.

    If these have too few rows, the first ones of the other files follow, and then the rest of all.
    """
    # Files are often sorted by topic or time, so the first few would be a biased sample.
    chosen = list(files[:: max(1, len(files) // _SAMPLED_FILES)])
    share = -(-count // len(chosen))  # rounded up
    others = [file for file in files if file not in chosen]
    last_rows: dict[str, int] = {}
    for file in [*chosen, *others]:
        for number, row in islice(reader.read_rows(file), min(share, count)):
            count -= 1
            last_rows[file] = number
            yield file, number, row
        if file == chosen[0]:  # the others are most likely like it
            for note in reader.format_notes:
                print_note(f"{file}: {note}")
        if count == 0:
            return
    for file, last in last_rows.items():
        for number, row in islice(reader.read_rows(file, last), count):
            count -= 1
            yield file, number, row
        if count == 0:
            return


def _split_held_out(
    settings: DataSettings, seed: int, splits: dict[str, _SampledRows]
) -> dict[str, _SampledRows]:
    """Fill the missing splits from the training sample, which loses all held-out sentences.

    The sentences with the lowest fingerprints are held out. Duplicates then stay
    together, and a frequent sentence is no more likely to be held out than a rare one.
    """
    missing = [split for split in HELD_OUT_SPLITS if split not in splits]
    held_out: set[str] = set()
    for split in HELD_OUT_SPLITS:
        held_out.update(_clean_sentences(splits.get(split, [])))
    train = list(_clean_sentences(splits["train"]))
    candidates = set(train) - held_out
    ranked = sorted(candidates, key=lambda text: fingerprint_sentence(text, seed))
    size = 0
    if missing and train:
        size = compute_held_out_size(settings, len(ranked), len(train))
    for number, split in enumerate(missing):
        chosen = set(ranked[number * size : (number + 1) * size])
        splits[split] = [(row, text) for row, text in splits["train"] if text in chosen]
        held_out |= chosen
    splits["train"] = [(row, text) for row, text in splits["train"] if text not in held_out]
    return splits


def _clean_sentences(sampled: _SampledRows) -> Iterator[str]:
    """Yield the sentences that cleaning did not leave out."""
    return (text for _, text in sampled if text is not None)


def _build_sample_source(sampled: _SampledRows) -> RowSource:
    """Return a source of the rows of one split of the sample."""
    return lambda: (row for row, _ in sampled)
