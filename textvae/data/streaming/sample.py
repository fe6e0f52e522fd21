"""The sample of a stream: what a run must know before it starts, from the first rows of a few files.

The tokenizer, the tokens a sentence, and the held-out splits come of it, so that
a corpus of any size starts alike. The stream never yields a held-out sentence,
wherever a duplicate of it stands.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from textvae.data.cleaning import Cleaner, fingerprint_sentence
from textvae.data.corpus import (
    HELD_OUT_SPLITS,
    DataSettings,
    extract_text,
    held_out_size,
    prepare_splits,
)
from textvae.data.sources import RowSource
from textvae.data.streaming.files import find_stream_files, is_stream_only
from textvae.data.streaming.reading import StreamFileReader
from textvae.data.tables import Row
from textvae.errors import ConfigError

_SAMPLED_FILES = 8  # files that a sample is taken from, if they hold enough


STREAM_FILE = "stream.json"  # in a run's corpus folder: the files, and the fingerprints of the held-out sentences


_SampledRows = list[tuple[Row, str | None]]  # rows with their clean sentences


def is_streamed(settings: DataSettings) -> bool:
    """Whether a corpus is to be streamed.

    Raises:
        ConfigError: it must be, and is not to be.
    """
    only_streams = settings.corpus is not None and is_stream_only(settings.corpus)
    if only_streams and settings.streaming is False:
        raise ConfigError(
            f"{settings.corpus}: URLs and patterns are read as streams; leave data.streaming out."
        )
    return only_streams if settings.streaming == "auto" else settings.streaming


def prepare_stream(
    settings: DataSettings, seed: int, folder: Path, build: Any
) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """Do as `prepare` does, on a sample; leave `folder/stream.json` beside the splits.

    `train.arrow` is then the sample, without what is held out of it.

    Raises:
        DataError: the corpus is missing, damaged, or too poor to learn from.
    """
    assert settings.corpus is not None
    files = find_stream_files(settings.corpus)
    splits = _split_held_out(settings, seed, _read_sample(settings, files))
    held = {
        fingerprint_sentence(text)
        for split in HELD_OUT_SPLITS
        for _, text in splits[split]
        if text is not None
    }
    tokenizer, counts = prepare_splits(
        settings,
        seed,
        folder,
        build,
        {split: _source_from_sample(splits[split]) for split in splits},
    )
    (folder / STREAM_FILE).write_text(
        json.dumps({"files": files["train"], "held_out": sorted(held)}) + "\n"
    )
    counts["stream"] = {"files": len(files["train"]), "counted": "a sample"}
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    return tokenizer, counts


def _read_sample(
    settings: DataSettings, files: Mapping[str, Sequence[str]]
) -> dict[str, _SampledRows]:
    """Return the first rows of each split there are files for, with their clean sentences."""
    reader = StreamFileReader(settings, [settings.text_column, *settings.label_columns])
    cleaner, column = Cleaner(settings), settings.text_column
    most = {"train": settings.sample, **dict.fromkeys(HELD_OUT_SPLITS, settings.held_out_most)}
    return {
        split: [
            (row, cleaner(extract_text(row, column, number)))
            for number, row in _read_first_rows(reader, files[split], most[split])
        ]
        for split in files
    }


def _read_first_rows(
    reader: StreamFileReader, files: Sequence[str], most: int
) -> Iterator[tuple[int, Row]]:
    """Yield rows from the beginnings of a few files far apart; of more files where these are short."""
    few = list(files[:: max(1, len(files) // _SAMPLED_FILES)])
    share = -(-most // len(few))
    for file in [*few, *(file for file in files if file not in few)]:
        for row in islice(reader.rows(file), min(share, most)):
            most -= 1
            yield row
        if most == 0:
            return


def _split_held_out(
    settings: DataSettings, seed: int, splits: dict[str, _SampledRows]
) -> dict[str, _SampledRows]:
    """Move sentences of the training sample to the splits that are missing; leave held-out ones out of it.

    The sentences of the lowest fingerprints are drawn: duplicates stay on one
    side, and a frequent sentence is no likelier to be lost to training.
    """
    missing = [split for split in HELD_OUT_SPLITS if split not in splits]
    held = {text for split in HELD_OUT_SPLITS for _, text in splits.get(split, [])}
    texts = {text for _, text in splits["train"] if text is not None} - held
    ranked = sorted(texts, key=lambda text: fingerprint_sentence(text, seed))
    count = sum(text is not None for _, text in splits["train"])
    size = held_out_size(settings, len(ranked), count) if missing and count else 0
    for place, split in enumerate(missing):
        drawn = set(ranked[place * size : (place + 1) * size])
        splits[split] = [(row, text) for row, text in splits["train"] if text in drawn]
        held |= drawn
    splits["train"] = [
        (row, text) for row, text in splits["train"] if text is None or text not in held
    ]
    return splits


def _source_from_sample(kept: _SampledRows) -> RowSource:
    """Return the rows of a split."""
    return lambda: (row for row, _ in kept)
