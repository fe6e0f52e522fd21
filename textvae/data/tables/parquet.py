"""Parquet files: rows with the types that the file gives its columns."""

from collections import Counter
from collections.abc import Iterator
from typing import IO

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.class_names import name_classes, read_class_names

ROWS_PER_BATCH = 1_000  # rows that are decoded at once


class ParquetReader:
    """Reads a Parquet file, one batch of rows at a time."""

    encoding = "utf-8"
    has_lines = False

    def __init__(self, stream: IO[bytes], columns: list[str] | None) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")  # a Parquet file has no lines
        self.notes: list[str] = []
        self._stream = stream
        self._needed_columns = columns

    def records(self) -> Iterator[Row]:
        """Yield the rows; they need no parsing.

        Raises:
            FormatError: two columns have the same name, or the file is damaged.
        """
        from pyarrow import ArrowException  # slow to import, and most files are text

        try:
            yield from self._iterate_rows()
        except (OSError, ArrowException) as error:
            raise FormatError(f"cannot be read as parquet: {error}") from error

    def _iterate_rows(self) -> Iterator[Row]:
        """Yield the rows.

        Raises:
            FormatError: two columns have the same name.
        """
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(self._stream)
        names = file.schema_arrow.names
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            # A dict per row would silently drop one of the two.
            raise FormatError(
                f"has two columns called {format_value(repeated[0])}; rename one of the two."
            )
        class_names = read_class_names(file.schema_arrow.metadata)
        columns = self._needed_columns
        if columns is not None and not set(columns) <= set(names):
            # One is missing. Read all, so that the error for a missing column can list them.
            columns = None
        for batch in file.iter_batches(ROWS_PER_BATCH, columns=columns):
            yield from name_classes(batch.to_pylist(), class_names)

    def row(self, record: Row) -> Row:
        """Return the record, which already is a row."""
        return record
