"""Splits and labels that the settings name: `data.validation`, `data.test` and `data.labels`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from textvae.data.folders import CLASS_COLUMN
from textvae.data.sources import (
    FileSource,
    RowSource,
    find_splits,
    list_corpus_files,
    resolve_path,
)
from textvae.data.split_settings import SplitSettings
from textvae.data.tables import Row, TableSettings, get_format_suffix
from textvae.errors import ConfigError, DataError
from textvae.messages import print_note

_Split = TypeVar("_Split")

_TEXT_COLUMN = "text"  # of a file of labels, which is read like a text file


def find_named_splits(
    splits: Mapping[str, RowSource],
    settings: SplitSettings,
    corpus: str | None,
) -> dict[str, RowSource]:
    """Return the splits of a corpus, with those that the settings name and with their labels.

    Args:
        splits: the splits of the corpus itself.
        corpus: the name of the corpus; None for one that was passed from Python.

    Raises:
        ConfigError: the same file is named twice, or labels do not go with the corpus.
        DataError: a file is missing or broken.
    """
    result = dict(splits)
    _refuse_repeated_files(settings, corpus)
    for split in ("validation", "test"):
        name = getattr(settings, split)
        if name is None:
            continue
        if split in result:
            print_note(
                f"the {split} split is {name}, as data.{split} says, not that of the corpus."
            )
        setting = f"data.{split}"
        _refuse_missing_split(name, setting)
        named = find_splits(name, settings, needs_training_split=False)
        result[split] = get_only_split(named, name, setting)
    if settings.labels is not None:
        _refuse_labels(splits, settings, corpus)
        files = {
            "train": settings.labels,
            "validation": settings.validation_labels,
            "test": settings.test_labels,
        }
        for split, labels in files.items():
            if labels is not None:
                result[split] = _add_labels(result[split], labels, split, settings.encoding)
    return result


def _refuse_missing_split(name: str, setting: str) -> None:
    """Refuse a file that is missing: it would be taken for the name of a data set.

    Raises:
        DataError: there is no such file.
    """
    if not resolve_path(name).exists():
        raise DataError(f"{setting} = {name!r}: there is no such file or folder.")


def get_only_split(splits: Mapping[str, _Split], name: str, setting: str) -> _Split:
    """Return the only split of what a setting names for one split.

    Raises:
        DataError: it has several splits.
    """
    if len(splits) > 1:
        raise DataError(
            f"{setting} = {name!r} holds the splits {', '.join(splits)}; "
            "expected the texts of one split: name its files."
        )
    return next(iter(splits.values()))


def _refuse_repeated_files(settings: SplitSettings, corpus: str | None) -> None:
    """Refuse the same file for two splits.

    Raises:
        ConfigError: two settings name the same file.
    """
    seen: dict[Path, str] = {}
    named = {
        "data.corpus": corpus,
        "data.validation": settings.validation,
        "data.test": settings.test,
    }
    for setting, name in named.items():
        if name is None:
            continue
        path = resolve_path(name).resolve()
        if path in seen:
            raise ConfigError(
                f"{setting} = {name!r} is also {seen[path]}; the splits need different texts."
            )
        seen[path] = setting


def _refuse_labels(
    splits: Mapping[str, RowSource], settings: SplitSettings, corpus: str | None
) -> None:
    """Refuse a file of labels for a corpus that is not one file.

    Raises:
        ConfigError: the corpus is a folder, a data set, or was passed from Python.
    """
    if corpus is None:
        raise ConfigError(
            "data.labels is for a corpus in a file; pass labels from Python as a column: "
            '{"text": texts, "label": labels} with data.label=label.'
        )
    if len(list_corpus_files(corpus)) != 1 or set(splits) != {"train"}:
        raise ConfigError(
            f"data.labels = {settings.labels!r} has one label per text of one file, but {corpus} "
            "is not one file: name the training file, and the others with data.validation and "
            "data.test."
        )


def _add_labels(texts: RowSource, labels: str, split: str, encoding: str) -> RowSource:
    """Return the rows of a split with their labels.

    Args:
        labels: the file of labels.
        encoding: that of the corpus, which the file shares.

    Raises:
        DataError: the file of labels is missing, or does not have one label per text.
    """
    file = resolve_path(labels)
    key = "labels" if split == "train" else f"{split}_labels"
    if not file.is_file():
        raise DataError(f"data.{key} = {labels!r}: there is no such file.")
    if get_format_suffix(file.name) not in (None, ".txt"):
        raise DataError(
            f"data.{key} = {labels!r} is a table; expected a text file with one label per line."
        )
    read_labels = FileSource([file], TableSettings(format="txt", encoding=encoding))

    def rows() -> Iterator[Row]:
        label_rows = read_labels()
        count = 0
        for row in texts():
            label = next(label_rows, None)
            if label is None:
                raise _build_length_error(labels, key, count, sum(1 for _ in texts()))
            count += 1
            yield {**row, CLASS_COLUMN: label[_TEXT_COLUMN]}
        rest = sum(1 for _ in label_rows)
        if rest:
            raise _build_length_error(labels, key, count + rest, count)

    return rows


def _build_length_error(labels: str, key: str, label_count: int, text_count: int) -> DataError:
    """Return the error for a file of labels that does not have one label per text."""
    return DataError(
        f"data.{key} = {labels!r} has {label_count:,} labels for {text_count:,} texts; "
        "expected one per text, in the same order. (A blank line counts as a label, and in a text "
        "file as a text.)"
    )
