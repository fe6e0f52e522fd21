"""Print records: as JSON lines, or as text."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textvae.cli.input import InputRows


def print_records(
    records: Iterable[dict[str, Any]], as_json: bool, shown: Callable[[dict[str, Any]], str]
) -> None:
    """Print records: as JSON, or as `shown` has them."""
    for record in records:
        print(json.dumps(record, ensure_ascii=False) if as_json else shown(record), flush=True)


def print_rows(
    rows: "InputRows",
    answer: Callable[[list[str], list[str]], list[dict[str, Any]]],
    as_json: bool,
    shown: Callable[[dict[str, Any]], str],
    fields: Sequence[str],
    text_field: str = "text",
    lines: int = 1,
) -> None:
    """Print a record for each row of a file, in order: for a blank row one of null fields, or blank lines.

    Args:
        answer: makes the records of texts, given with their labels.
        fields: of a record.
        text_field: the name that the text itself gets in the record.
        lines: that `shown` makes of a record.
    """
    from textvae.cli.input import pair_rows_with_answers

    blank = "\n" * (lines - 1)
    for row, record in pair_rows_with_answers(rows, answer):
        whole = {"row": row.number, text_field: row.text, **(record or dict.fromkeys(fields))}
        print_records([whole], as_json, shown if record else lambda _: blank)


def format_text(record: dict[str, Any]) -> str:
    """Show a record that is one text."""
    return str(record["text"])
