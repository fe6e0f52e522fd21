"""JSON documents: files that hold one object, with the records somewhere inside it.

Programs write tables as one object in several ways: the records are a list under some
key, perhaps next to other keys; each key is a column; or each key is the name of a row.
"""

from collections.abc import Iterator
from typing import Any

from textvae.data.tables.base import FormatError, Row
from textvae.data.tables.chats import find_chat_column
from textvae.data.tables.nested import find_cell

_MAX_DEPTH = 4  # of the key that holds the records


def find_document_rows(document: Row, text_column: str) -> tuple[list[Any], str | None]:
    """Return the rows of a document, and a note about where they are, if that is not obvious.

    Raises:
        FormatError: the rows could be in two places.
    """
    rows = _read_columns(document, text_column)
    if rows is not None:
        return rows, None
    if text_column in document or find_chat_column(document, text_column):
        return [document], None
    rows = _read_split_table(document)
    if rows is not None:
        return rows, None
    values = list(document.values())
    is_object_of_rows = all(isinstance(value, dict) and text_column in value for value in values)
    if values and is_object_of_rows:
        return values, None
    lists = list(_find_lists(document, ()))
    found = [(path, rows) for path, rows in lists if isinstance(rows[0], dict)]
    found = found or lists
    with_text = [(path, rows) for path, rows in found if _has_column(rows[0], text_column)]
    if len(with_text) == 1:
        found = with_text
    if len(found) > 1:
        names = " and ".join(repr(path) for path, _ in found[:3])
        path = found[0][0]
        raise FormatError(
            f"is a document with lists under {names}; expected one list of objects with "
            f"{text_column!r} in them. Take it out: jq -c '.{path}[]' FILE > rows.jsonl"
        )
    if not found:
        return [document], None
    path, found_rows = found[0]
    note = f"the rows are those under {path!r}"
    others = [key for key in document if key != path.partition(".")[0]]
    if others:
        note += f"; not read: {', '.join(map(str, others[:5]))}"
    return found_rows, f"{note}."


def _read_columns(document: Row, text_column: str) -> list[Row] | None:
    """Return the rows of a document whose keys are columns; None if they are not.

    The columns are lists, or objects from the names of rows to values, as pandas writes them.
    """
    texts = document.get(text_column)
    if isinstance(texts, list) and all(isinstance(text, str | None) for text in texts):
        columns = {
            name: values
            for name, values in document.items()
            if isinstance(values, list) and len(values) == len(texts)
        }
        others = document.keys() - columns.keys()
        if any(isinstance(document[name], list) for name in others):
            lengths = ", ".join(
                f"{name} ({len(values)})"
                for name, values in document.items()
                if isinstance(values, list)
            )
            raise FormatError(f"has columns of different lengths: {lengths}; make them equal.")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if isinstance(texts, dict):
        columns_by_row = {
            name: values
            for name, values in document.items()
            if isinstance(values, dict) and values.keys() == texts.keys()
        }
        return [{name: values[key] for name, values in columns_by_row.items()} for key in texts]
    return None


def _read_split_table(document: Row) -> list[Row] | None:
    """Return the rows of a document with names of columns next to lists of cells; else None."""
    names = document.get("columns")
    cells = document.get("data")
    if not (isinstance(names, list) and isinstance(cells, list)):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in cells):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in cells]


def _has_column(row: Row | str, column: str) -> bool:
    """Return whether an object has a column, which may be nested."""
    try:
        find_cell(row if isinstance(row, dict) else {}, column)
    except KeyError:
        return False
    return True


def _find_lists(value: Row, path: tuple[str, ...]) -> Iterator[tuple[str, list[Row | str]]]:
    """Yield the lists of objects or of texts in an object, each with its dotted key."""
    if len(path) == _MAX_DEPTH:
        return
    for key, part in value.items():
        below = (*path, str(key))
        if isinstance(part, dict):
            yield from _find_lists(part, below)
        elif isinstance(part, list) and part:
            kinds = {type(row) for row in part}
            if len(kinds) == 1 and isinstance(part[0], dict | str):
                yield ".".join(below), part
