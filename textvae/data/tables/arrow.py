"""Arrow files: those that `datasets` saves (a stream of batches) and Feather files."""

from collections.abc import Iterator

from textvae.data.tables.base import Row
from textvae.data.tables.class_names import name_classes, read_class_names
from textvae.data.tables.columnar import ColumnarReader, refuse_repeated_names

_MAGIC = b"ARROW1"  # of a file with an index of its batches; a stream begins otherwise


class ArrowReader(ColumnarReader):
    """Reads an Arrow file, one batch of rows at a time."""

    format = "arrow"

    def _iterate_rows(self) -> Iterator[Row]:
        """Yield the rows."""
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
        refuse_repeated_names(schema.names)
        class_names = read_class_names(schema.metadata)
        for batch in batches:
            yield from name_classes(batch.to_pylist(), class_names)
