"""Arrow files: rows are written block by block, and columns of numbers read as arrays."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

ROWS_PER_BLOCK = 5_000  # rows that are in memory at once


def write_arrow(rows: Iterable[dict[str, Any]], file: Path, schema: pa.Schema) -> None:
    """Write rows to an Arrow file, one block at a time."""
    write_record_batches(_build_batches(iter(rows), schema), file, schema)


def write_record_batches(batches: Iterable[pa.RecordBatch], file: Path, schema: pa.Schema) -> None:
    """Write batches of rows to an Arrow file, one at a time."""
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_number_column(dataset: Dataset, name: str) -> NDArray[Any]:
    """Return a column of numbers as an array, (n,), without a Python object per number."""
    table = dataset.select_columns([name]).with_format("arrow")[:]
    # torch needs an array it may write to; that of pyarrow may be a read-only view.
    array: NDArray[Any] = table[name].to_numpy().copy()
    return array


def _build_batches(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows as record batches of `ROWS_PER_BLOCK` rows; the last one may have fewer."""
    while block := list(islice(rows, ROWS_PER_BLOCK)):
        yield pa.RecordBatch.from_pylist(block, schema=schema)
