"""The sentences a verb is given: a file's, or those of standard input."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from textvae.errors import DataError
from textvae.sources import Row, find_splits
from textvae.tables import Quoting, as_label

if TYPE_CHECKING:
    from textvae.run import Run  # and with it `datasets`, which takes longer to import than a sentence to write


def read_texts(file: str, run: "Run", text_column: str | None = None, quoting: Quoting | None = None) -> Iterator[str]:
    """Yield the sentences of a file, or of standard input, blank lines left out.

    Raises:
        DataError: there is none.
    """
    return (text for text, _ in read_rows(file, run, text_column, quoting=quoting))


def read_rows(
    file: str,
    run: "Run",
    text_column: str | None = None,
    label_column: str | None = None,
    quoting: Quoting | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield the sentences of a file, or of standard input, blank lines left out, each with its label.

    Args:
        label_column: where a table has the labels; without one, they are None.
        quoting: of tables; by default that of the run.

    Raises:
        DataError: there is no sentence, or a sentence has no label.
    """
    from textvae.corpus import text_of

    column, is_blank = text_column or run.settings.data.text_column, True
    try:
        if file == "-":
            rows: Iterator[Row] = ({column: line.decode("utf-8")} for line in sys.stdin.buffer)
        else:
            rows = find_splits(file, column, quoting or run.settings.data.quoting)["train"]()
        for number, row in enumerate(rows, start=1):
            if text := text_of(row, column, number).strip():
                is_blank = False
                yield text, None if label_column is None else label_of(row, label_column, file)
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 ({error.reason}); convert it first.") from None
    if is_blank:
        raise DataError(f"{file}: holds no sentence.")


def label_of(row: Row, column: str, file: str) -> str:
    """Return a row's label as text.

    Raises:
        DataError: it has none.
    """
    label = as_label(row.get(column))
    if not label:
        raise DataError(
            f"{file}: the model was trained with labels, and there is a row without {column!r}: "
            "give a table with that column, or one --label for all."
        )
    return label
