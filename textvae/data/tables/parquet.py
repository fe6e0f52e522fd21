"""Parquet files: rows with the types that the file gives its columns."""

from collections.abc import Iterator
from typing import IO

from textvae.data.tables.base import Row
from textvae.data.tables.class_names import name_classes, read_class_names
from textvae.data.tables.columnar import ColumnarReader, refuse_repeated_names

ROWS_PER_BATCH = 1_000  # rows that are decoded at once


class ParquetReader(ColumnarReader):
    """Reads a Parquet file, one batch of rows at a time.

    Args:
        stream: the file's bytes.
        columns: the columns to read; all, if this is None or if the file lacks one of them.
    """

    format = "parquet"

    def __init__(self, stream: IO[bytes], columns: list[str] | None) -> None:
        super().__init__(stream)
        self._needed_columns = columns

    def _iterate_rows(self) -> Iterator[Row]:
        """Yield the rows."""
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(self._stream)
        names = file.schema_arrow.names
        refuse_repeated_names(names)
        class_names = read_class_names(file.schema_arrow.metadata)
        columns = self._needed_columns
        if columns is not None and not set(columns) <= set(names):
            # One is missing. Read all, so that the error for a missing column can list them.
            columns = None
        for batch in file.iter_batches(ROWS_PER_BATCH, columns=columns):
            yield from name_classes(batch.to_pylist(), class_names)
