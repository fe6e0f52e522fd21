"""Texts given from Python: which objects are texts, which are tables of them, and which are neither.

A table looks like a sequence to Python, and iterating over it yields the names
of its columns. So every verb takes its texts from here. Libraries that the
caller has not imported are not imported: none of their objects can come.
"""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from textvae.data.sources import CORPUS_SUFFIXES
from textvae.data.tables import Row, format_value
from textvae.errors import DataError

_ROWS_PER_CHUNK = 1_000  # rows that become Python objects at once


_TABLES = {
    "pandas": ("DataFrame",),
    "polars": ("DataFrame", "LazyFrame"),
    "pyarrow": ("Table", "RecordBatch"),
    "datasets": ("Dataset", "IterableDataset"),
}


_ARRAYS = {
    "numpy": ("ndarray",),
    "pandas": ("Series", "Index"),
    "pyarrow": ("Array", "ChunkedArray"),
}


def require_texts(texts: object, name: str = "texts") -> list[str]:
    """Return texts as a list, one string as a list of one.

    Args:
        texts: a string, a sequence or iterator of strings, a column, or a table with one column.
        name: of the argument, for messages.

    Raises:
        DataError: it is something else, or something that is not text is in it.
    """
    return list(iterate_texts(texts, name))


def require_text(text: object, name: str) -> str:
    """Return a text that must be one string.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(text, str):
        raise DataError(f"{name} is {describe(text)}; expected one string.")
    return _checked(text, name)


def iterate_texts(texts: object, name: str = "texts") -> Iterator[str]:
    """Yield texts one by one; for arguments and errors see `require_texts`."""
    if isinstance(texts, str):
        if texts.lower().endswith(CORPUS_SUFFIXES) and os.path.isfile(texts):
            raise DataError(
                f"{name} is {texts!r}, the name of a file; give the sentences in it. "
                f"(If the name is the text: [{texts!r}].)"
            )
        yield _checked(texts, name)
        return
    one = name.removesuffix("s")
    for place, text in enumerate(_values(texts, name)):
        if not isinstance(text, str):
            raise DataError(
                f"{one} {place} is {describe(text)}; expected a string: convert it, or leave it out."
            )
        yield _checked(text, f"{one} {place}")


def require_labels(labels: object) -> list[Any]:
    """Return labels as a list; of a table, its one column.

    Raises:
        DataError: they are no sequence, or one without an order.
    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        what = f"the string {format_value(labels)}" if isinstance(labels, str) else describe(labels)
        raise DataError(f"labels is {what}; expected a list, one label for each text.")
    return list(_values(labels, "labels"))


def is_table(value: object) -> bool:
    """Whether a value is a table of pandas, polars, pyarrow or datasets."""
    return _is_one_of(value, _TABLES)


def iterate_table_rows(table: Any) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises:
        DataError: two of its columns have one name.
    """
    names = _column_names(table)
    if repeated := [name for name in names if names.count(name) > 1]:
        raise DataError(
            f"two columns of the table are called {repeated[0]!r}; rename one of the two."
        )
    if _is_one_of(table, {"datasets": _TABLES["datasets"]}):
        yield from table
    elif _is_one_of(table, {"pyarrow": _TABLES["pyarrow"]}):
        for start in range(0, table.num_rows, _ROWS_PER_CHUNK):
            yield from table.slice(start, _ROWS_PER_CHUNK).to_pylist()
    elif _is_one_of(table, {"polars": _TABLES["polars"]}):
        yield from _collected(table).iter_rows(named=True)
    else:
        yield from iterate_column_rows(
            {name: _list_of(table.iloc[:, place]) for place, name in enumerate(names)}
        )


def require_columns(columns: object) -> dict[str, list[Any]]:
    """Return a table, or a mapping from names to columns, as lists of one length.

    Raises:
        DataError: it is something else, a column is no sequence, or they differ in length.
    """
    if is_table(columns):
        rows = list(iterate_table_rows(columns))
        return {name: [row[name] for row in rows] for name in _column_names(columns)}
    if not isinstance(columns, Mapping):
        raise DataError(
            f"columns is {describe(columns)}; expected a table, or a mapping from names to values."
        )
    lists: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if (
            isinstance(values, str | bytes | Mapping)
            or is_table(values)
            or not isinstance(values, Iterable)
        ):
            raise DataError(
                f"column {name!r} is {describe(values)}; expected a sequence, one value per row."
            )
        lists[str(name)] = _list_of(values)
    if len({len(values) for values in lists.values()}) > 1:
        lengths = ", ".join(f"{name} ({len(values)})" for name, values in lists.items())
        raise DataError(f"the columns differ in length: {lengths}; give one value per row in each.")
    return lists


def iterate_column_rows(columns: Mapping[str, list[Any]]) -> Iterator[Row]:
    """Yield the rows of columns of one length."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _values(texts: Any, name: str) -> Iterable[Any]:
    """Return what to iterate over.

    Raises:
        DataError: iterating over it would not yield texts, or not in an order.
    """
    if is_table(texts):
        names = _column_names(texts)
        if len(names) != 1:
            hint = f'{name}["{"text" if "text" in names else names[0] if names else "text"}"]'
            raise DataError(
                f"{name} is {describe(texts)} of {len(names)} columns; give the one of {name}: {hint}."
            )
        return (row[names[0]] for row in iterate_table_rows(texts))
    if isinstance(texts, Mapping):
        keys = [str(key) for key in texts]
        key = "text" if "text" in keys or not keys else keys[0]
        raise DataError(
            f'{name} is {describe(texts)}; give the {name} in it: {name}["{key}"], for instance.'
        )
    if isinstance(texts, bytes | bytearray | memoryview):
        raise DataError(f"{name} is {describe(texts)}; decode it: {name}.decode().")
    if isinstance(texts, set | frozenset):
        raise DataError(
            f"{name} is {describe(texts)}, which has no order; give a list: sorted({name})."
        )
    if getattr(texts, "ndim", 1) != 1:
        one = f"{name}[:, 0]" if texts.ndim else f"{name}.item()"
        raise DataError(
            f"{name} is {describe(texts)} of {texts.ndim} dimensions; give a column of it: {one}."
        )
    if not isinstance(texts, Iterable):
        raise DataError(f"{name} is {describe(texts)}; expected a string or a list of strings.")
    return _list_of(texts) if _is_one_of(texts, _ARRAYS) else texts


def _list_of(values: Any) -> list[Any]:
    """Return a column as a list, with None where pandas has a value of its own for what is missing."""
    if _is_one_of(values, {"pandas": ("Series",)}):
        return [
            None if missing else value
            for value, missing in zip(values.tolist(), values.isna(), strict=True)
        ]
    if _is_one_of(values, {"pyarrow": _ARRAYS["pyarrow"]}):
        return list(values.to_pylist())
    return list(values.tolist()) if _is_one_of(values, _ARRAYS) else list(values)


def _column_names(table: Any) -> list[str]:
    """Return the names of a table's columns; none where nobody knows them yet."""
    if _is_one_of(table, {"polars": ("LazyFrame",)}):
        return list(table.collect_schema().names())
    if _is_one_of(table, {"pandas": ("DataFrame",), "polars": ("DataFrame",)}):
        return [str(name) for name in table.columns]
    if _is_one_of(table, {"pyarrow": _TABLES["pyarrow"]}):
        return list(table.schema.names)
    return list(table.column_names or [])


def _collected(frame: Any) -> Any:
    """Return a polars frame whose rows are there."""
    return frame.collect() if _is_one_of(frame, {"polars": ("LazyFrame",)}) else frame


def _is_one_of(value: object, kinds: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a value is of one of these classes, named by the library that has them."""
    for library, names in kinds.items():
        module = sys.modules.get(library)
        classes = (getattr(module, name, None) for name in names)
        if any(isinstance(one, type) and isinstance(value, one) for one in classes):
            return True
    return False


def _checked(text: str, name: str) -> str:
    """Return a string of Python's own kind.

    Raises:
        DataError: it cannot be written as UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise DataError(
            f"{name} holds {half!r}, half of a surrogate pair, which is no text; leave it out."
        ) from None
    return str(text)


def describe(value: object) -> str:
    """Return what a value is, as a message shows it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"{value} (missing)"
    if isinstance(value, int | float | bytes) and len(repr(value)) <= 40:
        return f"{value!r} ({type(value).__name__})"
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return f"{article} {kind}"
