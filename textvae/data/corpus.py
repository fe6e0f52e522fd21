"""The corpus of a run: cleaned, split, tokenised, and kept as memory-mapped Arrow files.

Sentences flow from their source to disk in blocks of a few thousand; no list of
all of them ever stands in memory. Held-out sentences are drawn by fingerprint
and seed where the source names no split of its own, so that all copies of a
sentence are on one side.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import Field, field_validator
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import ROWS_PER_BLOCK, write_arrow
from textvae.data.cleaning import Cleaner, CleaningSettings, fingerprint_sentence
from textvae.data.parallel_tokenization import BlockDataset, tokenize_blocks
from textvae.data.row_report import RowNumbers, print_note
from textvae.data.sources import RowSource, find_splits
from textvae.data.streaming.settings import StreamSettings
from textvae.data.tables import Quoting, Row, as_label, format_value
from textvae.errors import ConfigError, DataError

_MIN_SENTENCES = 8  # sentences a corpus must have


HELD_OUT_SPLITS = ("validation", "test")


_RESERVED_COLUMNS = ("text", "input_ids", "length", "words", "bytes")


class DataSettings(CleaningSettings, StreamSettings):
    """Where the sentences are, and what is done to them before they are tokens."""

    corpus: str | None = Field(
        None, description="a file, a folder, a bundled corpus, or the name of a data set"
    )
    text_column: str = "text"
    quoting: Quoting = Field(
        "auto", description="quotes in tables; auto: they delimit cells in .csv, not in .tsv"
    )
    label_columns: list[str] = Field([], description="kept with the sentences")
    label: str | None = Field(
        None, description="the column of labels that the model is conditioned on"
    )
    held_out: float = Field(
        0.05, gt=0, lt=0.5, description="share for each of validation and test, where not given"
    )
    held_out_most: int = Field(5_000, ge=1, description="but at most this many sentences each")
    split_seed: int = Field(
        1,
        ge=0,
        lt=2**63,
        description="that draws them: runs of other training seeds are measured alike",
    )
    max_tokens: int = Field(128, ge=1, description="longer sentences are cut")
    processes: int | None = Field(
        None, ge=1, description="that tokenise; by default the cores, if there is much"
    )
    cache: str = Field(
        "auto", description="where prepared corpora are kept: auto, off, or a folder"
    )

    @property
    def all_label_columns(self) -> list[str]:
        """The columns of labels that stay with the sentences."""
        if self.label is None or self.label in self.label_columns:
            return self.label_columns
        return [*self.label_columns, self.label]

    @field_validator("cache", mode="before")
    @classmethod
    def check_cache(cls, place: object) -> object:
        """Take YAML's truth value for the word: `data.cache=off` comes as False."""
        return "off" if place is False else place

    @field_validator("label")
    @classmethod
    def check_label(cls, name: str | None) -> str | None:
        """Refuse a label that would stand where one of our own columns does."""
        if name in _RESERVED_COLUMNS:
            raise ConfigError(
                f"data.label = {name!r} does not fit: {name} is a column of ours; rename yours."
            )
        return name

    @field_validator("label_columns")
    @classmethod
    def check(cls, names: list[str]) -> list[str]:
        """Refuse labels that would stand where our own columns do."""
        for name in set(names) & set(_RESERVED_COLUMNS):
            raise ConfigError(
                f"data.label_columns = {names!r} does not fit: {name} is a column of ours; rename yours."
            )
        return names


def _clean_corpus(
    settings: DataSettings, seed: int, folder: Path, given: Mapping[str, RowSource] | None = None
) -> dict[str, Any]:
    """Clean and split the corpus into `folder/SPLIT.text.arrow`; return the counts.

    Raises:
        DataError: the corpus is missing, broken, or too poor to learn from.
    """
    if given is None:
        if settings.corpus is None:
            raise DataError(
                "no corpus is named. Give a file, a folder or a name: textvae train my.txt, or: textvae train captions"
            )
        given = find_splits(settings.corpus, settings.text_column, settings.quoting)
    folder.mkdir(parents=True, exist_ok=True)
    given = {split: given[split] for split in ("train", *HELD_OUT_SPLITS) if split in given}
    counts = {
        split: _clean_split(settings, rows, folder / f"{split}.text.arrow")
        for split, rows in given.items()
    }
    _check_training_sentences(
        Dataset.from_file(str(folder / "train.text.arrow")), settings.corpus or "the corpus"
    )
    for split in given:
        if not counts[split].get("kept"):
            raise DataError(
                f"{settings.corpus or 'the corpus'}: no {split} sentence is left after cleaning."
            )
    _hold_out_splits(
        settings, seed, folder, [split for split in HELD_OUT_SPLITS if split not in given]
    )
    return counts


def _clean_split(
    settings: DataSettings, rows: RowSource, file: Path, left_out: RowNumbers | None = None
) -> dict[str, int]:
    """Write the clean sentences of one split; return the fates of its lines.

    Args:
        left_out: gets the rows that are left out.
    """
    cleaner = Cleaner(settings)

    def clean() -> Iterator[Row]:
        for number, row in enumerate(rows(), start=1):
            sentence = cleaner(extract_text(row, settings.text_column, number))
            if sentence is not None:
                yield {"text": sentence, **_extract_labels(row, settings, number)}
            elif left_out is not None:
                left_out.add(number)

    write_arrow(clean(), file, _build_text_schema(settings.all_label_columns))
    return dict(cleaner.counts)


def reasons_left_out(fates: Mapping[str, int]) -> str:
    """Return how many rows cleaning has left out for each reason, as a note says it; blank where there are none."""
    reasons = ("blank", "too short", "too long", "duplicate")
    return ", ".join(f"{fates[reason]:,} {reason}" for reason in reasons if fates.get(reason))


def extract_text(row: Row, column: str, number: int) -> str:
    """Return a row's text; a missing value counts as blank."""
    if column not in row:
        raise DataError(
            f"there is no column {column!r}; there are {', '.join(row)}. Set data.text_column."
        )
    text = row[column]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise DataError(
            f"row {number}: column {column!r} holds {format_value(text)}, not text. Set data.text_column."
        )
    return text


def _extract_labels(row: Row, settings: DataSettings, number: int) -> dict[str, str]:
    """Return a row's labels as text; the one that the model is conditioned on must be there."""
    for column in settings.all_label_columns:
        if column not in row:
            key = "label" if column == settings.label else "label_columns"
            raise DataError(
                f"there is no column {column!r}; there are {', '.join(row)}. Set data.{key}."
            )
    labels = {column: as_label(row[column]) for column in settings.all_label_columns}
    if settings.label and not labels[settings.label]:
        raise DataError(
            f"row {number}: column {settings.label!r} is blank, and the model is conditioned on it: "
            "give every sentence a label, or leave the row out."
        )
    return labels


def _build_text_schema(labels: list[str]) -> pa.Schema:
    """Return the columns of a cleaned split."""
    return pa.schema(
        [("text", pa.large_string()), *((column, pa.large_string()) for column in labels)]
    )


def _check_training_sentences(train: Dataset, name: str) -> None:
    """Refuse a corpus that nothing can be learned from."""
    count = len(train)
    if count == 0:
        raise DataError(
            f"{name}: no sentence is left after cleaning; are there only blanks? Wanted is a sentence a line."
        )
    if count < _MIN_SENTENCES:
        raise DataError(
            f"{name}: only {count} sentence{'s' * (count > 1)} to train on; at least {_MIN_SENTENCES} are needed."
        )
    first = train[0]["text"]
    if all(text == first for block in train.iter(ROWS_PER_BLOCK) for text in block["text"]):
        raise DataError(
            f"{name}: all {count} sentences are the same ({first[:40]!r}); there is nothing to learn."
        )


def _hold_out_splits(settings: DataSettings, seed: int, folder: Path, missing: list[str]) -> None:
    """Draw the missing splits from the training sentences, by fingerprint and seed.

    The sentences of the lowest fingerprints are drawn, with all their copies: a
    sentence that is in the corpus twice is not both trained on and measured.

    Raises:
        DataError: there are too few different sentences to draw from.
    """
    if not missing:
        return
    file = folder / "train.text.arrow"
    train = Dataset.from_file(str(file))
    marks = _marks(train, seed)
    named = [
        Dataset.from_file(str(folder / f"{split}.text.arrow"))
        for split in HELD_OUT_SPLITS
        if split not in missing
    ]
    # Sentences of a split that the corpus names are not drawn into the other one.
    ranked = (
        np.setdiff1d(marks, np.concatenate([_marks(split, seed) for split in named]))
        if named
        else np.unique(marks)
    )
    size = held_out_size(settings, len(ranked), len(train))
    schema, drawn = _build_text_schema(settings.all_label_columns), ranked[: size * len(missing)]
    for split, part in zip(missing, np.split(drawn, len(missing)), strict=True):
        places = np.flatnonzero(np.isin(marks, part))
        write_arrow(iter(train.select(places)), folder / f"{split}.text.arrow", schema)
    rest = folder / "rest.arrow"
    write_arrow(_iterate_rows_except(train, np.flatnonzero(np.isin(marks, drawn))), rest, schema)
    rest.replace(file)


def held_out_size(settings: DataSettings, different: int, count: int) -> int:
    """Return how many different sentences are drawn for each missing split.

    Args:
        different: the different sentences there are to draw from.
        count: all training sentences, copies included.

    Raises:
        DataError: there are too few different ones.
    """
    if different < _MIN_SENTENCES:
        raise DataError(
            f"{settings.corpus or 'the corpus'}: only {different} different sentence{'s' * (different != 1)} among "
            f"{count:,} to draw held-out ones from; at least {_MIN_SENTENCES} are needed, since all copies of a sentence stay "
            "in one split. Give more sentences, or name the files of the splits: train.txt, valid.txt, test.txt."
        )
    return min(
        max(1, round(settings.held_out * different)), settings.held_out_most, (different - 1) // 2
    )


def _marks(split: Dataset, seed: int) -> NDArray[np.uint64]:
    """Return the fingerprint of each sentence of a cleaned split, (n,)."""
    texts = (text for block in split.iter(ROWS_PER_BLOCK) for text in block["text"])
    return np.fromiter((fingerprint_sentence(text, seed) for text in texts), np.uint64, len(split))


def _iterate_rows_except(dataset: Dataset, places: NDArray[Any]) -> Iterator[Row]:
    """Yield the rows whose numbers are not among the sorted `places`."""
    for start in range(0, len(dataset), ROWS_PER_BLOCK):
        block = dataset[start : start + ROWS_PER_BLOCK]
        size = len(block["text"])
        inside = np.isin(np.arange(start, start + size), places)
        yield from ({name: block[name][i] for name in block} for i in range(size) if not inside[i])


def _tokenize_split(
    settings: DataSettings,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    split: str,
    held: frozenset[int] = frozenset(),
    *,
    drops_held_out: bool = False,
) -> dict[str, int]:
    """Turn `SPLIT.text.arrow` into `SPLIT.arrow`; return the counts.

    Args:
        held: fingerprints of sentences of other splits, against which duplicates are counted.
        drops_held: whether such duplicates are left out.
    """
    source = folder / f"{split}.text.arrow"
    texts = Dataset.from_file(str(source))
    blocks = BlockDataset(texts, tokenizer, settings.max_tokens, held, drops_held_out)
    counts = tokenize_blocks(blocks, folder / f"{split}.arrow", settings.processes)
    source.unlink()
    return counts


def _fingerprint_held_out(folder: Path, split: str) -> frozenset[int]:
    """Return the fingerprints of the sentences of a split before they are tokens."""
    blocks = Dataset.from_file(str(folder / f"{split}.text.arrow")).iter(ROWS_PER_BLOCK)
    return frozenset(fingerprint_sentence(text) for block in blocks for text in block["text"])


def open_split(folder: Path, split: str) -> Dataset:
    """Return a tokenised split, memory-mapped."""
    return Dataset.from_file(str(folder / f"{split}.arrow"))


def _iterate_training_sentences(folder: Path) -> Iterator[str]:
    """Yield the training sentences before they are tokens, for a tokenizer to learn from."""
    for block in Dataset.from_file(str(folder / "train.text.arrow")).iter(ROWS_PER_BLOCK):
        yield from block["text"]


def prepare_splits(
    settings: DataSettings,
    seed: int,
    folder: Path,
    build: Any,
    given: Mapping[str, RowSource] | None = None,
) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """Gather, learn the tokenizer, tokenise; leave `folder/{train,validation,test}.arrow` and `counts.json`.

    Args:
        build: makes the tokenizer from an iterator over the training sentences.
    """
    cleaned = _clean_corpus(settings, seed, folder, given)
    tokenizer = build(_iterate_training_sentences(folder))
    validation, test = (_fingerprint_held_out(folder, split) for split in HELD_OUT_SPLITS)
    others = {"train": validation | test, "validation": test, "test": frozenset[int]()}
    tokenized = {
        split: _tokenize_split(
            settings,
            tokenizer,
            folder,
            split,
            held,
            drops_held_out=settings.drop_duplicates and split == "train",
        )
        for split, held in others.items()
    }
    if alike := _count_cut_alike(folder, tokenized, settings.drop_duplicates):
        tokenized["train"]["cut_alike"] = alike
    counts = {"cleaned": cleaned, "tokenized": tokenized}
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    return tokenizer, counts


def _count_cut_alike(
    folder: Path, tokenized: Mapping[str, Mapping[str, int]], is_known_dropped: bool
) -> int:
    """Return how many training sentences are held out too once both are cut, though their whole texts differ.

    Args:
        tokenized: the counts of each split; `also_held_out` of them are alike as a whole.
        is_known_dropped: whether the latter are left out of training.
    """
    if not any(counts.get("truncated") for counts in tokenized.values()):
        return 0
    held = {
        fingerprint_sentence(text)
        for split in HELD_OUT_SPLITS
        for text in _texts_of(open_split(folder, split))
    }
    alike = sum(
        fingerprint_sentence(text) in held for text in _texts_of(open_split(folder, "train"))
    )
    return alike if is_known_dropped else alike - tokenized["train"].get("also_held_out", 0)


def _texts_of(split: Dataset) -> Iterator[str]:
    """Yield the sentences of a tokenized split, cut ones as they read after the cut."""
    for block in split.select_columns(["text"]).iter(ROWS_PER_BLOCK):
        yield from block["text"]


def prepare_file(
    settings: DataSettings, tokenizer: PreTrainedTokenizerBase, file: str, folder: Path
) -> Dataset:
    """Clean and tokenise the sentences of a file into `folder`, as the settings' corpus was.

    Raises:
        DataError: the file is missing or broken, or no sentence is left of it.
    """
    splits = find_splits(file, settings.text_column, settings.quoting)
    rows = splits.get("test", splits["train"])
    left_out = RowNumbers()
    fates = _clean_split(
        settings.model_copy(update={"label_columns": []}),
        rows,
        folder / "given.text.arrow",
        left_out,
    )
    counts = _tokenize_split(settings, tokenizer, folder, "given")
    if not counts.get("sentences"):
        raise DataError(f"{file}: no sentence is left after cleaning; are there only blanks?")
    if left_out.count:
        print_note(
            f"{file}: {left_out.count:,} of {fates['read']:,} rows left out ({reasons_left_out(fates)}): {left_out}."
        )
    for cut, limit in (
        (fates, f"{settings.max_characters:,} characters"),
        (counts, f"{settings.max_tokens:,} tokens"),
    ):
        if many := cut.get("truncated", 0):
            print_note(
                f"{file}: {many:,} text{'s are' if many > 1 else ' is'} cut to {limit}, as in training."
            )
    return open_split(folder, "given")
