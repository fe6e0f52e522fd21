"""The corpus of a run: cleaned, split, tokenized, and stored as memory-mapped Arrow files.

Sentences flow from their source to disk in blocks of a few thousand, so the
corpus need not fit into memory. If the source has no validation or test split,
held-out sentences are chosen by fingerprint and seed. All copies of a sentence
then end up in the same split.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import ROWS_PER_BLOCK, open_arrow, write_arrow
from textvae.data.cleaning import Cleaner, CleaningSettings, fingerprint_sentence
from textvae.data.corpus_counts import count_repeats, list_split_files
from textvae.data.folders import MAX_LISTED_FILES
from textvae.data.named_splits import find_named_splits
from textvae.data.parallel_tokenization import BlockDataset, tokenize_blocks
from textvae.data.row_report import RowNumbers, format_count, shorten_list
from textvae.data.settings import RESERVED_COLUMNS, DataSettings
from textvae.data.sources import RowSource, find_splits
from textvae.data.tables import (
    Row,
    TableSettings,
    as_label,
    explain_missing_column,
    find_cell,
    format_value,
    list_cell_names,
    split_chats,
)
from textvae.data.tokenization import TokenizerBuilder
from textvae.errors import CheckpointError, DataError
from textvae.messages import print_note

_MIN_SENTENCES = 8  # sentences a corpus must have

HELD_OUT_SPLITS = ("validation", "test")

# Whether an Arrow type is that of a column of a tokenized split.
_HAS_EXPECTED_TYPE: dict[str, Callable[[pa.DataType], bool]] = {
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "input_ids": lambda kind: pa.types.is_list(kind) and pa.types.is_integer(kind.value_type),
    **dict.fromkeys(("length", "words", "bytes"), pa.types.is_integer),
}

TokenizerAndCounts = tuple[PreTrainedTokenizerBase, dict[str, Any]]  # counts as in counts.json


def prepare_splits(
    settings: DataSettings,
    seed: int,
    folder: Path,
    build: TokenizerBuilder,
    splits: Mapping[str, RowSource] | None = None,
) -> TokenizerAndCounts:
    """Clean and split the corpus, build the tokenizer, and tokenize.

    Writes `folder/{train,validation,test}.arrow` and `folder/counts.json`.

    Args:
        seed: chooses the held-out sentences.
        build: builds the tokenizer from the training sentences.
        splits: the rows to use instead of `settings.corpus`.

    Returns:
        The tokenizer, and the counts of cleaned and tokenized sentences.

    Raises:
        DataError: the corpus is missing, broken, or too small to learn from.
    """
    cleaned = _clean_corpus(settings, seed, folder, splits)
    tokenizer = build(_iterate_training_sentences(folder))
    # Do this before tokenizing, which cuts long sentences and removes the files of uncut text.
    fingerprints = {
        split: _fingerprint_rows(_open_text_split(folder, split))
        for split in ("train", *HELD_OUT_SPLITS)
    }
    repeats = count_repeats(fingerprints, drops_held_out=settings.drop_duplicates)
    validation = frozenset[int](fingerprints["validation"].tolist())
    test = frozenset[int](fingerprints["test"].tolist())
    del fingerprints  # 8 bytes for each training sentence
    # Each split is compared only with later ones, so that no shared sentence counts twice.
    later_fingerprints = {
        "train": validation | test,
        "validation": test,
        "test": frozenset[int](),
    }
    tokenized = {
        split: _tokenize_split(
            settings,
            tokenizer,
            folder,
            split,
            held_out_fingerprints,
            drops_held_out=settings.drop_duplicates and split == "train",
        )
        for split, held_out_fingerprints in later_fingerprints.items()
    }
    if not tokenized["train"].get("sentences"):
        raise DataError(
            f"{_get_corpus_name(settings)}: every training sentence is also in the validation or "
            "test split, and data.drop_duplicates=true leaves such sentences out of training. Give "
            "the splits different sentences, or leave data.drop_duplicates out."
        )
    cut_alike = _count_cut_alike(folder, tokenized, settings.drop_duplicates)
    if cut_alike:
        tokenized["train"]["cut_alike"] = cut_alike
    for split, repeat_counts in repeats.items():
        tokenized[split].update(repeat_counts)
    counts = {"cleaned": cleaned, "tokenized": tokenized}
    if splits is None and settings.corpus is not None:
        counts["files"] = list_split_files(settings.corpus, settings.name_splits())
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    return tokenizer, counts


def prepare_file(
    settings: DataSettings, tokenizer: PreTrainedTokenizerBase, file: str, folder: Path
) -> Dataset:
    """Clean and tokenize the sentences of a file as those of the corpus were; print notes.

    Args:
        settings: those of the run, which say how its corpus was cleaned and tokenized.
        tokenizer: the tokenizer of the run.
        file: a file, or a folder, of which the test split is read if it has one.
        folder: where the tokenized sentences are stored.

    Raises:
        DataError: the file is missing or broken, or cleaning leaves no sentence of it.
    """
    reading = {name: getattr(settings, name) for name in TableSettings.model_fields}
    splits = find_splits(file, TableSettings(**reading), needs_training_split=False)
    rows = _choose_evaluated_rows(file, splits)
    # The file needs only the label that conditions the model, if there is one.
    cleaning = settings.model_copy(update={"label_columns": []})
    left_out = RowNumbers()
    cleaned = _clean_split(cleaning, rows, folder / "file.text.arrow", str(file), left_out)
    tokenized = _tokenize_split(settings, tokenizer, folder, "file")
    if not tokenized.get("sentences"):
        raise DataError(f"{file}: no sentence is left after cleaning; are there only blanks?")
    if left_out.count:
        print_note(
            f"{file}: {left_out.count:,} of {cleaned['read']:,} rows left out "
            f"({format_drop_reasons(cleaned, settings)}): {left_out}."
        )
    _report_cut(file, cleaned, f"{settings.max_characters:,} characters")
    _report_cut(file, tokenized, f"{settings.max_tokens:,} tokens")
    _report_unknown(file, tokenized)
    return open_split(folder, "file")


def _choose_evaluated_rows(file: str, splits: Mapping[str, RowSource]) -> RowSource:
    """Return the rows of the test split if there is one; print a note about other splits."""
    chosen = "test" if "test" in splits else next(iter(splits))
    others = sorted(splits.keys() - {chosen})
    if others:
        files = list_split_files(file).get(chosen, [])
        source = f" ({shorten_list(files, MAX_LISTED_FILES)})" if files else ""
        print_note(
            f"{file}: only its {chosen} split{source} is read. "
            f"Name a file to read {' or '.join(others)}."
        )
    return splits[chosen]


def open_split(folder: Path, split: str) -> Dataset:
    """Return a tokenized split, memory-mapped.

    Raises:
        CheckpointError: its file is missing or damaged, or lacks a column.
    """
    file = folder / f"{split}.arrow"
    dataset = open_arrow(file)
    schema = dataset.features.arrow_schema
    for name in RESERVED_COLUMNS:
        if name not in schema.names or not _HAS_EXPECTED_TYPE[name](schema.field(name).type):
            raise CheckpointError(
                f"{file}: is damaged (its column {name} is missing or of another type). "
                "Copy the whole folder again."
            )
    return dataset


def format_drop_reasons(counts: Mapping[str, int], settings: CleaningSettings) -> str:
    """Return how many rows cleaning left out, why, and by which setting.

    For example: `2 blank, 1 too short (data.min_words = 3)`.
    """
    settings_of_reasons = {
        "blank": "",
        "too short": f" (data.min_words = {settings.min_words})",
        "too long": f" (data.max_words = {settings.max_words})",
        "duplicate": " (data.drop_duplicates)",
    }
    return ", ".join(
        f"{counts[reason]:,} {reason}{setting}"
        for reason, setting in settings_of_reasons.items()
        if counts.get(reason)
    )


def extract_text(row: Row, column: str, number: int, advice: str = "Set data.text_column.") -> str:
    """Return a row's text; a missing value counts as blank.

    Args:
        number: the number of the row, for messages.
        advice: how to name another column.

    Raises:
        DataError: the column is missing, or does not hold text.
    """
    try:
        text = find_cell(row, column)
    except KeyError:
        names = list_cell_names(row)
        problem = explain_missing_column(column, names, advice)
        raise DataError(problem) from None
    if text is None:
        return ""
    if not isinstance(text, str):
        raise DataError(
            f"row {number}: column {column!r} holds {format_value(text)}, not text. {advice} "
            "(If numbers are the texts, give them in a text file.)"
        )
    return text


def compute_held_out_size(settings: DataSettings, different: int, count: int) -> int:
    """Return how many different sentences to hold out for each missing split.

    Args:
        different: number of different sentences to choose from.
        count: number of all training sentences, copies included.

    Raises:
        DataError: there are too few different sentences.
    """
    if different < _MIN_SENTENCES:
        sentences = format_count(different, "different sentence")
        raise DataError(
            f"{_get_corpus_name(settings)}: only {sentences} among {count:,} to choose held-out "
            f"ones from; at least {_MIN_SENTENCES} are needed, because all copies of a sentence stay "
            "in one split. Add sentences, or name the files of the splits: train.txt, valid.txt, "
            "test.txt."
        )
    share = max(1, round(settings.held_out * different))
    # Both splits together must leave at least one sentence to train on.
    return min(share, settings.held_out_most, (different - 1) // 2)


def _get_corpus_name(settings: DataSettings) -> str:
    """Return the name of the corpus for messages; a corpus passed from Python has none."""
    return settings.corpus or "the corpus"


def _clean_corpus(
    settings: DataSettings,
    seed: int,
    folder: Path,
    splits: Mapping[str, RowSource] | None = None,
) -> dict[str, Any]:
    """Clean and split the corpus into `folder/SPLIT.text.arrow`; return the counts of cleaning.

    Raises:
        DataError: the corpus is missing, broken, or too small to learn from.
    """
    named_corpus = None
    if splits is not None:
        splits = {split: _split_chats_of(rows, settings) for split, rows in splits.items()}
    else:
        if settings.corpus is None:
            raise DataError(
                "no corpus is named. Give a file, a folder or a name: "
                "textvae train my.txt, or: textvae train captions"
            )
        named_corpus = settings.corpus
        splits = find_splits(named_corpus, settings, settings.list_named_files())
    splits = find_named_splits(splits, settings, named_corpus)
    folder.mkdir(parents=True, exist_ok=True)
    present = [split for split in ("train", *HELD_OUT_SPLITS) if split in splits]
    counts = {
        split: _clean_split(
            settings, splits[split], folder / f"{split}.text.arrow", settings.corpus
        )
        for split in present
    }
    name = _get_corpus_name(settings)
    if not counts["train"].get("kept"):
        raise DataError(f"{name}: {_explain_no_sentence(counts['train'], settings)}")
    _check_training_sentences(_open_text_split(folder, "train"), name)
    for split in present:
        if not counts[split].get("kept"):
            raise DataError(
                f"{_get_corpus_name(settings)}: no {split} sentence is left after cleaning."
            )
    missing = [split for split in HELD_OUT_SPLITS if split not in present]
    _hold_out_splits(settings, seed, folder, missing)
    return counts


def _split_chats_of(rows: RowSource, settings: DataSettings) -> RowSource:
    """Return a source of the rows that do not come from a file, a row for each message of chats."""
    return lambda: split_chats(rows(), settings.text_column, settings.role)


def _clean_split(
    settings: DataSettings,
    rows: RowSource,
    file: Path,
    name: str | None,
    left_out: RowNumbers | None = None,
) -> dict[str, int]:
    """Write the clean sentences of one split; return how many lines were kept, left out and cut.

    Args:
        name: where the rows come from, for messages; None if they came from Python.
        left_out: receives the numbers of the rows that are left out.
    """
    cleaner = Cleaner(settings)

    def clean() -> Iterator[Row]:
        for number, row in enumerate(rows(), start=1):
            try:
                sentence = cleaner(extract_text(row, settings.text_column, number))
                labels = {} if sentence is None else _extract_labels(row, settings, number)
            except DataError as error:
                raise DataError(f"{name}: {error}" if name else str(error)) from None
            if sentence is not None:
                yield {"text": sentence, **labels}
            elif left_out is not None:
                left_out.add(number)

    write_arrow(clean(), file, _build_text_schema(settings.all_label_columns))
    return dict(cleaner.counts)


def _extract_labels(row: Row, settings: DataSettings, number: int) -> dict[str, str]:
    """Return a row's labels as text.

    Raises:
        DataError: a column is missing, or the label that conditions the model is blank.
    """
    labels: dict[str, str] = {}
    for column in settings.all_label_columns:
        try:
            labels[column] = as_label(find_cell(row, column))
        except KeyError:
            key = "label" if column == settings.label else "label_columns"
            names = list_cell_names(row)
            problem = explain_missing_column(column, names, f"Set data.{key}.")
            raise DataError(problem) from None
        except DataError as error:
            raise DataError(f"row {number}: column {column!r}: {error}") from None
    if settings.label and not labels[settings.label]:
        raise DataError(
            f"row {number}: column {settings.label!r} is blank, and the model is conditioned "
            "on it: give every sentence a label, or leave the row out."
        )
    return labels


def _build_text_schema(labels: list[str]) -> pa.Schema:
    """Return the schema of a cleaned split with these columns of labels."""
    # Arrow cannot concatenate the chunks of a plain string column to more than 2 GiB.
    return pa.schema([(column, pa.large_string()) for column in ("text", *labels)])


def _explain_no_sentence(cleaned: Mapping[str, int], settings: CleaningSettings) -> str:
    """Return why cleaning has left no sentence, and which setting decides."""
    what = "no sentence is left after cleaning"
    short, long = cleaned.get("too short", 0), cleaned.get("too long", 0)
    if short:
        return f"{what}: {short:,} have fewer words than data.min_words = {settings.min_words:,}."
    if long:
        return f"{what}: {long:,} have more words than data.max_words = {settings.max_words:,}."
    return f"{what}; are there only blanks? Expected one sentence per line."


def _check_training_sentences(train: Dataset, name: str) -> None:
    """Refuse a corpus that is too small, or one sentence repeated.

    Raises:
        DataError: the corpus is one of these.
    """
    count = len(train)
    if count < _MIN_SENTENCES:
        raise DataError(
            f"{name}: only {format_count(count, 'sentence')} to train on; "
            f"at least {_MIN_SENTENCES} are needed."
        )
    first = train[0]["text"]
    if all(text == first for text in _iterate_texts(train)):
        raise DataError(
            f"{name}: all {count} sentences are the same ({first[:40]!r}); "
            "there is nothing to learn."
        )


def _hold_out_splits(settings: DataSettings, seed: int, folder: Path, missing: list[str]) -> None:
    """Move training sentences to the missing splits, chosen by fingerprint and seed.

    The sentences with the lowest fingerprints are held out, with all their copies. The
    model is therefore never evaluated on a copy of a training sentence.

    Raises:
        DataError: there are too few different sentences to choose from.
    """
    if not missing:
        return
    train = _open_text_split(folder, "train")
    fingerprints = _fingerprint_rows(train, seed)
    candidates = np.unique(fingerprints)  # sorted, as `setdiff1d` below leaves them
    for split in HELD_OUT_SPLITS:
        if split not in missing:
            # A sentence of a split that the corpus has must not end up in the other one too.
            other_split = _fingerprint_rows(_open_text_split(folder, split), seed)
            candidates = np.setdiff1d(candidates, other_split)
    size = compute_held_out_size(settings, len(candidates), len(train))
    held_out = candidates[: size * len(missing)]
    schema = _build_text_schema(settings.all_label_columns)
    for split, part in zip(missing, np.split(held_out, len(missing)), strict=True):
        row_numbers = np.flatnonzero(np.isin(fingerprints, part))
        write_arrow(iter(train.select(row_numbers)), folder / f"{split}.text.arrow", schema)
    # `train` is memory-mapped, so its file must not be overwritten while it is read.
    rest = folder / "rest.arrow"
    row_numbers = np.flatnonzero(np.isin(fingerprints, held_out))
    write_arrow(_iterate_rows_except(train, row_numbers), rest, schema)
    rest.replace(folder / "train.text.arrow")


def _fingerprint_rows(split: Dataset, seed: int = 0) -> NDArray[np.uint64]:
    """Return the fingerprint of each sentence of a cleaned split, (n,)."""
    fingerprints = (fingerprint_sentence(text, seed) for text in _iterate_texts(split))
    return np.fromiter(fingerprints, np.uint64, len(split))


def _iterate_rows_except(dataset: Dataset, row_numbers: NDArray[Any]) -> Iterator[Row]:
    """Yield the rows whose numbers, counted from 0, are not in the array."""
    for start in range(0, len(dataset), ROWS_PER_BLOCK):
        block = dataset[start : start + ROWS_PER_BLOCK]
        size = len(block["text"])
        is_excluded = np.isin(np.arange(start, start + size), row_numbers)
        for index in np.flatnonzero(~is_excluded).tolist():
            yield {name: block[name][index] for name in block}


def _tokenize_split(
    settings: DataSettings,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    split: str,
    held_out_fingerprints: frozenset[int] = frozenset(),
    *,
    drops_held_out: bool = False,
) -> dict[str, int]:
    """Turn `SPLIT.text.arrow` into `SPLIT.arrow`; return the counts of tokenizing.

    Args:
        held_out_fingerprints: of sentences of other splits; their duplicates are counted.
        drops_held_out: whether to leave these duplicates out.
    """
    source = folder / f"{split}.text.arrow"
    texts = Dataset.from_file(str(source))
    blocks = BlockDataset(
        texts, tokenizer, settings.max_tokens, held_out_fingerprints, drops_held_out
    )
    counts = tokenize_blocks(blocks, folder / f"{split}.arrow", settings.processes)
    source.unlink()
    return counts


def _count_cut_alike(
    folder: Path, tokenized: Mapping[str, Mapping[str, int]], drops_duplicates: bool
) -> int:
    """Return how many training sentences equal a held-out one only after both are cut.

    Args:
        tokenized: the counts of each split; `also_held_out` counts sentences that are equal
            before the cut.
        drops_duplicates: whether the sentences that are equal before the cut were left out.
    """
    if not any(counts.get("truncated") for counts in tokenized.values()):
        return 0  # without reading the splits again
    held_out: set[int] = set()
    for split in HELD_OUT_SPLITS:
        held_out.update(map(fingerprint_sentence, _iterate_texts(open_split(folder, split))))
    train = _iterate_texts(open_split(folder, "train"))
    alike = sum(fingerprint_sentence(text) in held_out for text in train)
    if drops_duplicates:
        return alike
    return alike - tokenized["train"].get("also_held_out", 0)


def _open_text_split(folder: Path, split: str) -> Dataset:
    """Return a cleaned split that is not tokenized yet, memory-mapped."""
    return Dataset.from_file(str(folder / f"{split}.text.arrow"))


def _iterate_training_sentences(folder: Path) -> Iterator[str]:
    """Yield the cleaned training sentences, for a tokenizer to learn from."""
    return _iterate_texts(_open_text_split(folder, "train"))


def _iterate_texts(split: Dataset) -> Iterator[str]:
    """Yield the sentences of a split; those of a tokenized split are already cut."""
    for block in split.select_columns(["text"]).iter(ROWS_PER_BLOCK):
        yield from block["text"]


def _report_cut(file: str, counts: Mapping[str, int], limit: str) -> None:
    """Print how many texts of a file were cut to a limit, if any were."""
    count = counts.get("truncated", 0)
    if count:
        texts = "text is" if count == 1 else "texts are"
        print_note(f"{file}: {count:,} {texts} cut to {limit}, as in training.")


def _report_unknown(file: str, counts: Mapping[str, int]) -> None:
    """Print how many tokens of a file the tokenizer does not know, if there are any."""
    unknown = counts.get("unknown", 0)
    if unknown:
        total = counts["tokens"] - counts["sentences"]  # without the ends
        print_note(f"{file}: {unknown / total:.1%} of its tokens are unknown to the model.")
