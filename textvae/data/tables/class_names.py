"""The names of classes that a data set of Hugging Face stores as numbers.

A column of the type `ClassLabel` holds numbers, and the names are in the data set's
features. Files that `datasets` writes keep the features in their metadata. Labels
are read by name, so that they are the same from every source.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textvae.data.tables.base import Row

ClassNames = Mapping[str, Sequence[str]]  # the names of a column's classes, by column

_UNKNOWN_CLASS = -1  # how `datasets` stores a missing label


def find_class_names(features: Mapping[str, Any] | None) -> ClassNames:
    """Return the names of classes of each column that has them.

    Args:
        features: those of a data set; None for a stream whose features are not known.
    """
    if not features:
        return {}
    from datasets import ClassLabel  # slow to import, but whoever has features has imported it

    return {
        column: feature.names
        for column, feature in features.items()
        if isinstance(feature, ClassLabel)
    }


def read_class_names(metadata: Mapping[bytes, bytes] | None) -> ClassNames:
    """Return the names of classes that the metadata of an Arrow or Parquet schema holds."""
    try:
        entries = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        features = entries.get("info", {}).get("features", {})
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}  # of another program, or damaged: the numbers are then all there is


def name_classes(rows: Iterable[Row], names: ClassNames) -> Iterator[Row]:
    """Yield rows in which the classes have their names instead of numbers."""
    if not names:
        yield from rows
        return
    for row in rows:
        named = {
            column: name_class(row[column], classes)
            for column, classes in names.items()
            if column in row
        }
        yield {**row, **named}


def name_class(value: Any, names: Sequence[str]) -> Any:
    """Return the name of a class; None for a missing one, and a name unchanged."""
    if value is None or isinstance(value, str):
        return value
    number = int(value)
    if number == _UNKNOWN_CLASS:
        return None
    return names[number] if number < len(names) else number
