"""Texts passed from Python: which objects are texts, which are tables, and which are neither.

Iterating over a table yields the names of its columns, which look like texts.
Every method therefore takes its texts through this module. A library is never
imported here: if it has not been imported yet, no value can be an object of it.
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from textvae.data.tables import Row, format_value, get_format_suffix
from textvae.data.tables.class_names import (
    find_class_names,
    name_class,
    name_classes,
    read_class_names,
)
from textvae.errors import DataError

_ROWS_PER_CHUNK = 1_000  # rows of an Arrow table that become Python objects at once

_MAX_SHOWN_CHARACTERS = 40  # of a number or bytes in a message

_Classes = Mapping[str, tuple[str, ...]]  # names of classes, by library

_DATA_SETS: _Classes = {"datasets": ("Dataset", "IterableDataset")}
_ARROW_TABLES: _Classes = {"pyarrow": ("Table", "RecordBatch")}
_LAZY_FRAMES: _Classes = {"polars": ("LazyFrame",)}
_FRAMES: _Classes = {"pandas": ("DataFrame",), "polars": ("DataFrame",)}
_TABLES: _Classes = {
    "pandas": ("DataFrame",),
    "polars": ("DataFrame", "LazyFrame"),
    **_ARROW_TABLES,
    **_DATA_SETS,
}

_PANDAS_COLUMNS: _Classes = {"pandas": ("Series",)}
_ARROW_COLUMNS: _Classes = {"pyarrow": ("Array", "ChunkedArray")}
_COLUMNS: _Classes = {
    "numpy": ("ndarray",),
    "pandas": ("Series", "Index"),
    "torch": ("Tensor",),
    **_ARROW_COLUMNS,
}

# A column of a data set; its class is not among the names that `datasets` exports.
_DATA_SET_COLUMNS: _Classes = {
    "datasets.arrow_dataset": ("Column",),
    "datasets.iterable_dataset": ("IterableColumn",),
}


def require_texts(texts: object, name: str = "texts") -> list[str]:
    """Return texts as a list; a single string becomes a list of one.

    Args:
        texts: a string, a sequence or iterator of strings, a column, or a table with one column.
        name: the name of the argument, for messages.

    Raises:
        DataError: `texts` is something else, or contains something that is not text.
    """
    return list(iterate_texts(texts, name))


def require_text(text: object, name: str) -> str:
    """Return a text that must be a single string.

    Args:
        text: the value of the argument.
        name: the name of the argument, for messages.

    Raises:
        DataError: the value is not a string, or cannot be encoded as UTF-8.
    """
    if not isinstance(text, str):
        raise DataError(f"{name} is {describe(text)}; expected one string.")
    return _check_encodable(text, name)


def iterate_texts(texts: object, name: str = "texts") -> Iterator[str]:
    """Yield texts one by one; arguments and errors are those of `require_texts`."""
    if isinstance(texts, str):
        # A common mistake: methods take sentences, and only `train` takes the name of a file.
        if os.path.isfile(texts) and get_format_suffix(texts) is not None:
            raise DataError(
                f"{name} is {texts!r}, the name of a file; pass the sentences in it. "
                f"(If the name is the text: [{texts!r}].)"
            )
        yield _check_encodable(texts, name)
        return
    singular = name.removesuffix("s")
    for number, text in enumerate(_iterate_values(texts, name)):
        if not isinstance(text, str):
            raise DataError(
                f"{singular} {number} is {describe(text)}; expected a string: "
                "convert it, or leave it out."
            )
        yield _check_encodable(text, f"{singular} {number}")


def require_labels(labels: object) -> list[Any]:
    """Return labels as a list; those of a table are the values of its only column.

    Raises:
        DataError: the labels are not a sequence, or have no order.
    """
    if isinstance(labels, str):
        raise DataError(
            f"labels is the string {format_value(labels)}; expected a list, one label per text."
        )
    if not isinstance(labels, Iterable):
        raise DataError(f"labels is {describe(labels)}; expected a list, one label per text.")
    return list(_iterate_values(labels, "labels"))


def is_table(value: object) -> bool:
    """Return whether a value is a table of pandas, polars, pyarrow or datasets."""
    return _is_one_of(value, _TABLES)


def iterate_table_rows(table: Any) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises:
        DataError: two of its columns have the same name.
    """
    names = _get_column_names(table)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(
            f"two columns of the table are called {repeated[0]!r}; rename one of the two."
        )
    if _is_one_of(table, _DATA_SETS):
        yield from name_classes(table, find_class_names(table.features))
    elif _is_one_of(table, _ARROW_TABLES):
        class_names = read_class_names(table.schema.metadata)
        for start in range(0, table.num_rows, _ROWS_PER_CHUNK):
            rows = table.slice(start, _ROWS_PER_CHUNK).to_pylist()
            yield from name_classes(rows, class_names)
    elif _is_one_of(table, _LAZY_FRAMES):
        yield from table.collect().iter_rows(named=True)
    elif _is_one_of(table, {"polars": ("DataFrame",)}):
        yield from table.iter_rows(named=True)
    else:
        # A row of pandas has a single type, which would turn integers next to floats into floats.
        columns = {name: _convert_to_list(table.iloc[:, i]) for i, name in enumerate(names)}
        yield from iterate_column_rows(columns)


def require_columns(columns: object) -> dict[str, list[Any]]:
    """Return a table, or a mapping from names to columns, as lists of equal length.

    Raises:
        DataError: `columns` is something else, a column is not a sequence, or the lengths differ.
    """
    if is_table(columns):
        rows = list(iterate_table_rows(columns))
        return {name: [row[name] for row in rows] for name in _get_column_names(columns)}
    if not isinstance(columns, Mapping):
        raise DataError(
            f"columns is {describe(columns)}; expected a table, or a mapping from names to values."
        )
    lists: dict[str, list[Any]] = {}
    for name, values in columns.items():
        is_single_value = isinstance(values, str | bytes | Mapping) or is_table(values)
        if is_single_value or not isinstance(values, Iterable):
            raise DataError(
                f"column {name!r} is {describe(values)}; expected a sequence, one value per row."
            )
        lists[str(name)] = _convert_to_list(values)
    if len({len(values) for values in lists.values()}) > 1:
        lengths = ", ".join(f"{name} ({len(values)})" for name, values in lists.items())
        raise DataError(f"the columns differ in length: {lengths}; give one value per row in each.")
    return lists


def iterate_column_rows(columns: Mapping[str, list[Any]]) -> Iterator[Row]:
    """Yield the rows of columns of equal length."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def describe(value: object) -> str:
    """Return what a value is, for a message, such as `a list`, `7 (int)` or `None (missing)`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"{value} (missing)"
    if isinstance(value, int | float | bytes) and len(repr(value)) <= _MAX_SHOWN_CHARACTERS:
        return f"{value!r} ({type(value).__name__})"
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return f"{article} {kind}"


def _iterate_values(values: Any, name: str) -> Iterable[Any]:
    """Return the values of a column, of a table with one column, or of any other iterable.

    Raises:
        DataError: the value is not iterable, or iterating over it would yield something else
            than texts, or texts in no defined order.
    """
    if is_table(values):
        return _iterate_only_column(values, name)
    _refuse_other_collections(values, name)
    if getattr(values, "ndim", 1) != 1:
        # An array without dimensions holds a single value.
        column = f"{name}[:, 0]" if values.ndim else f"[{name}.item()]"
        raise DataError(
            f"{name} is {describe(values)} with {values.ndim} dimensions; "
            f"expected one dimension, for instance {column}."
        )
    if not isinstance(values, Iterable):
        raise DataError(f"{name} is {describe(values)}; expected a string or a list of strings.")
    if _is_one_of(values, _COLUMNS) or _is_one_of(values, _DATA_SET_COLUMNS):
        return _convert_to_list(values)
    return values


def _iterate_only_column(table: Any, name: str) -> Iterator[Any]:
    """Yield the values of a table's only column.

    Raises:
        DataError: the table has more columns, or none.
    """
    columns = _get_column_names(table)
    if len(columns) != 1:
        column = _guess_text_column(columns)
        raise DataError(
            f"{name} is {describe(table)} with {len(columns)} columns; "
            f'pass the column of {name}: {name}["{column}"].'
        )
    return (row[columns[0]] for row in iterate_table_rows(table))


def _refuse_other_collections(texts: object, name: str) -> None:
    """Refuse mappings, bytes and sets: iterating over them yields no texts, or in no fixed order.

    Raises:
        DataError: the value is one of these.
    """
    if isinstance(texts, Mapping):
        key = _guess_text_column([str(key) for key in texts])
        raise DataError(
            f'{name} is {describe(texts)}; pass the {name} in it, for instance {name}["{key}"].'
        )
    if isinstance(texts, bytes | bytearray | memoryview):
        raise DataError(f"{name} is {describe(texts)}; decode it: {name}.decode().")
    if isinstance(texts, set | frozenset):
        raise DataError(
            f"{name} is {describe(texts)}, which has no order; pass a list: sorted({name})."
        )


def _guess_text_column(names: list[str]) -> str:
    """Return the column to suggest in a message: `text`, or the first one."""
    if "text" in names or not names:
        return "text"
    return names[0]


def _convert_to_list(values: Any) -> list[Any]:
    """Return a column as a list of Python objects, with None for missing values."""
    if _is_one_of(values, _PANDAS_COLUMNS):
        # pandas has several missing values: NaN, NaT, NA and None.
        missing = values.isna()
        has_numpy_values = _is_one_of(values.dtype, {"numpy": ("dtype",)})
        plain = values.to_numpy() if has_numpy_values else values
        if _is_short_float(plain):
            return [None if value != value else value for value in _convert_to_list(plain)]
        return [
            None if is_missing else value
            for value, is_missing in zip(values.tolist(), missing, strict=True)
        ]
    if _is_one_of(values, _ARROW_COLUMNS):
        return list(values.to_pylist())  # `list(values)` would give scalars of pyarrow
    if _is_one_of(values, _DATA_SET_COLUMNS):
        names = find_class_names({"column": values.features}).get("column")
        return [name_class(value, names) for value in values] if names else list(values)
    if _is_short_float(values):
        # `tolist` would show more digits than such a number has: 0.10000000149011612 for 0.1.
        return [float(str(value)) for value in values]
    if _is_one_of(values, _COLUMNS):
        return list(values.tolist())  # `list(values)` would give scalars of numpy
    return list(values)


def _is_short_float(values: Any) -> bool:
    """Return whether a value is an array of numpy with floats of fewer than 64 bits."""
    if not _is_one_of(values, {"numpy": ("ndarray",)}):
        return False
    return bool(values.dtype.kind == "f" and values.dtype.itemsize < 8)


def _get_column_names(table: Any) -> list[str]:
    """Return the names of a table's columns; none for a stream whose columns are not known yet."""
    if _is_one_of(table, _LAZY_FRAMES):
        return list(table.collect_schema().names())  # `columns` would warn about its cost
    if _is_one_of(table, _FRAMES):
        return [str(name) for name in table.columns]
    if _is_one_of(table, _ARROW_TABLES):
        return list(table.schema.names)
    return list(table.column_names or [])


def _is_one_of(value: object, classes: _Classes) -> bool:
    """Return whether a value is an instance of one of these classes, if its library is imported."""
    for library, names in classes.items():
        module = sys.modules.get(library)  # None if nobody has imported it
        for name in names:
            candidate = getattr(module, name, None)
            if isinstance(candidate, type) and isinstance(value, candidate):
                return True
    return False


def _check_encodable(text: str, name: str) -> str:
    """Return the text as a plain `str`, since strings of numpy are of a subclass.

    Raises:
        DataError: the text cannot be encoded as UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise DataError(
            f"{name} contains {half!r}, half of a surrogate pair, which is not a character; "
            "remove it."
        ) from None
    return str(text)
