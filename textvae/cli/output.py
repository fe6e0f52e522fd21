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

    def answer_in_groups(
        texts: list[str], labels: list[str]
    ) -> Sequence[Sequence[Mapping[str, Any]]]:
        return [[record] for record in answer(texts, labels)]

    print_row_groups(rows, answer_in_groups, as_json, format_record, fields, text_field, lines)


def print_row_groups(
    rows: "InputRows",
    answer: Callable[[list[str], list[str]], Sequence[Sequence[Mapping[str, Any]]]],
    as_json: bool,
    format_record: Callable[[Mapping[str, Any]], str],
    fields: Sequence[str],
    text_field: str = "text",
    lines: int = 1,
) -> None:
    """Print one or more records for each row of a file, in order; one for a blank row.

    Args:
        answer: a function of texts and their labels that returns the records of each text.
        fields, text_field, lines: as in `print_rows`.
    """
    from textvae.cli.input import pair_rows_with_answers

    blank_lines = "\n" * (lines - 1)
    for row, records in pair_rows_with_answers(rows, answer):
        head = {"file": row.file, "row": row.number, "line": row.line, text_field: row.text}
        if records is None:
            blank = {**head, **dict.fromkeys(fields)}
            print_records([blank], as_json, lambda _: blank_lines)
            continue
        print_records(({**head, **record} for record in records), as_json, format_record)


def format_text(record: Mapping[str, Any]) -> str:
    """Return the text of a record that has one."""
    return str(record["text"])


def format_fill(record: Mapping[str, Any]) -> str:
    """Return the log-likelihood of a filled sentence in nats, and the sentence."""
    return f"log-likelihood {record['score']:8.2f} nats  {record['text']}"


def format_step(record: Mapping[str, Any]) -> str:
    """Return how far a coordinate was moved, in standard deviations, and the text after it."""
    return f"moved {record['value']:+5.2f} standard deviations  {record['text']}"


def format_score(record: Mapping[str, Any]) -> str:
    """Return the IW-NLL of a sentence in nats, a dash if it is not defined, and the sentence."""
    return f"IW-NLL {format_nats(record['iw_nll'])} nats  {record['text']}"


def format_neighbor(record: Mapping[str, Any]) -> str:
    """Return the cosine similarity of a neighbor, and its sentence."""
    return f"similarity {record['similarity']:6.3f}  {record['text']}"


def format_certainty(record: Mapping[str, Any]) -> str:
    """Return the nats per token of a sentence and the sentence; below it, its reconstruction."""
    certainty = f"nats per token {record['nats_per_token']:6.3f}"
    cut = "  (too long: only the beginning was read)" if record["is_cut"] else ""
    arrow = f"{'→':>{len(certainty)}}"
    return f"{certainty}  {record['text']}{cut}\n{arrow}  {record['reconstruction']}"


def format_nats(value: float | None) -> str:
    """Return a number with two decimals, or a dash for None, in eight characters."""
    return f"{'—':>8}" if value is None else f"{value:8.2f}"


def format_variation(record: Mapping[str, Any]) -> str:
    """Return the distance of a variation, its log-likelihood in nats, and the sentence."""
    log_likelihood = format_nats(record["log_likelihood"])
    distance = f"distance {record['distance']:6.2f}"
    return f"{distance}  log-likelihood {log_likelihood} nats  {record['text']}"


def name_texts(names: Sequence[str], texts: Sequence[str]) -> dict[str, str | None]:
    """Return the sentences of a row under their keys; those of a blank row are None."""
    return {name: texts[place] if texts else None for place, name in enumerate(names)}


def group_texts(
    texts: Sequence[str | None], decoding: Mapping[str, Any]
) -> list[list[dict[str, str | None]]]:
    """Return a record for each text, in groups of those that were decoded from one latent."""
    count = decoding.get("num_return_sequences", 1)
    records = [{"text": text} for text in texts]
    return [records[start : start + count] for start in range(0, len(records), count)]
