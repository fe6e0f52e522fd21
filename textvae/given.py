"""The sentences a verb is given: a file's, or those of standard input."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textvae.errors import DataError
from textvae.sources import find_splits

if TYPE_CHECKING:
    from textvae.run import Run  # and with it `datasets`, which takes longer to import than a sentence to write


def read_texts(file: str, run: "Run", text_column: str | None = None) -> Iterator[str]:
    """Yield the sentences of a file, or of standard input, blank lines left out.

    Raises:
        DataError: there is none.
    """
    from textvae.corpus import text_of

    column, is_blank = text_column or run.settings.data.text_column, True
    try:
        if file == "-":
            lines: Iterator[str] = (line.decode("utf-8") for line in sys.stdin.buffer)
        else:
            rows = enumerate(find_splits(file, column)["train"](), start=1)
            lines = (text_of(row, column, number) for number, row in rows)
        for line in lines:
            if text := line.strip():
                is_blank = False
                yield text
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 ({error.reason}); convert it first.") from None
    if is_blank:
        raise DataError(f"{file}: holds no sentence.")
