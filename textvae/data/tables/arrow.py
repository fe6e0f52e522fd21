"""Arrow files: those that `datasets` saves (a stream of batches) and Feather files."""

from collections.abc import Iterator
from typing import IO

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.class_names import name_classes, read_class_names

_MAGIC = b"ARROW1"  # of a file with an index of its batches; a stream begins otherwise


class ArrowReader:
    """Reads an Arrow file, one batch of rows at a time."""

    encoding = "utf-8"
    has_lines = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")  # an Arrow file has no lines
        self.notes: list[str] = []
        self._stream = stream

    def records(self) -> Iterator[Row]:
        """Yield the rows; they need no parsing.

        Raises:
            FormatError: two columns have the same name, or the file is damaged.
        """
        from pyarrow import ArrowException  # slow to import, and most files are text

        try:
            yield from self._iterate_rows()
        except (OSError, ArrowException) as error:
            raise FormatError(f"cannot be read as arrow: {error}") from error

    def _iterate_rows(self) -> Iterator[Row]:
        """Yield the rows.

        Raises:
            FormatError: two columns have the same name.
        """
        import pyarrow as pa

        has_index = self._stream.read(len(_MAGIC)) == _MAGIC
        self._stream.seek(0)
        if has_index:
            file = pa.ipc.open_file(self._stream)
            schema = file.schema
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            batches = pa.ipc.open_stream(self._stream)
            schema = batches.schema
        names = schema.names
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise FormatError(
                f"has two columns called {format_value(repeated[0])}; rename one of the two."
            )
        class_names = read_class_names(schema.metadata)
        for batch in batches:
            yield from name_classes(batch.to_pylist(), class_names)

    def row(self, record: Row) -> Row:
        """Return the record, which already is a row."""
        return record
