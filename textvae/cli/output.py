"""Print records as JSON lines or as text, without control characters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textvae.terminal import escape_controls, format_json

if TYPE_CHECKING:
    from textvae.cli.input import InputRows


def print_records(
    records: Iterable[Mapping[str, Any]],
    as_json: bool,
    format_record: Callable[[Mapping[str, Any]], str],
) -> None:
    """Print each record as a line of JSON, or as `format_record` formats it.

    Texts come from files and from models: their control characters are printed as escapes, so
    that they cannot steer the terminal, and a line break in a text does not begin a new record.
    """
    for record in records:
        text = format_json(record) if as_json else format_record(_escape(record))
        # Without the flush, a pipe would get nothing until many records are ready.
        print(text, flush=True)


def _escape(value: Any) -> Any:
    """Return a record, or a value in it, with control characters as escapes."""
    if isinstance(value, str):
        return escape_controls(value)
    if isinstance(value, Mapping):
        return {key: _escape(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_escape(part) for part in value]
    return value


def print_rows(
    rows: "InputRows",
    answer: Callable[[list[str], list[str]], Sequence[Mapping[str, Any]]],
    as_json: bool,
    format_record: Callable[[Mapping[str, Any]], str],
    fields: Sequence[str],
    text_field: str = "text",
    lines: int = 1,
) -> None:
    """Print a record for each row of a file, in order.

    For a blank row, a record of nulls is printed, or blank lines without `as_json`,
    so that the output can be aligned with the file.

    Args:
        answer: a function of texts and their labels that returns the records in order.
        fields: the keys of a record.
        text_field: the key of the text itself in the printed record.
        lines: how many lines `format_record` returns for a record.
    """
    from textvae.cli.input import pair_rows_with_answers

    blank_lines = "\n" * (lines - 1)
    for row, record in pair_rows_with_answers(rows, answer):
        values = record or dict.fromkeys(fields)
        place = {"file": row.file, "row": row.number, "line": row.line}
        printed = {**place, text_field: row.text, **values}
        print_records([printed], as_json, format_record if record else lambda _: blank_lines)


def format_text(record: Mapping[str, Any]) -> str:
    """Return the text of a record that has one."""
    return str(record["text"])
