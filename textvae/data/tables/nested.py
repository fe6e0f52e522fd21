"""Cells of nested columns: `meta.text` is the value under `text` in the object `meta`."""

from typing import Any

from textvae.data.tables.base import Row


def find_cell(row: Row, column: str) -> Any:
    """Return the value of a column, which may be nested: `a.b` is `row["a"]["b"]`.

    A column whose own name has dots is preferred. In a missing object, every value is missing.

    Raises:
        KeyError: the row has no such column.
    """
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise KeyError(column)
        value = value[key]
    return value


def list_cell_names(row: Row) -> list[str]:
    """Return the names of a row's columns for a message, the nested ones with dots."""
    return _list_names(row, "")


def _list_names(row: Row, prefix: str) -> list[str]:
    """Return the dotted names of an object's values."""
    names: list[str] = []
    for key, value in row.items():
        name = f"{prefix}{key}"
        names += _list_names(value, f"{name}.") if isinstance(value, dict) and value else [name]
    return names
