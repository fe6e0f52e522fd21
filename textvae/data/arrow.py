"""Arrow files: rows stream in block by block, and columns of numbers come out as arrays."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

ROWS_PER_BLOCK = 5_000  # rows that travel together


def write_arrow(rows: Iterable[dict[str, Any]], file: Path, schema: pa.Schema) -> None:
    """Stream rows to an Arrow file, a block at a time."""
    flow = iter(rows)
    blocks = iter(lambda: list(islice(flow, ROWS_PER_BLOCK)), [])
    write_record_batches(
        (pa.RecordBatch.from_pylist(block, schema=schema) for block in blocks), file, schema
    )


def write_record_batches(batches: Iterable[pa.RecordBatch], file: Path, schema: pa.Schema) -> None:
    """Stream batches of rows to an Arrow file."""
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_number_column(dataset: Dataset, name: str) -> NDArray[Any]:
    """Return a column of numbers as an array, without a Python object for each."""
    table = dataset.select_columns([name]).with_format("arrow")[:]
    array: NDArray[Any] = table[name].to_numpy().copy()  # its own, so that torch may write to it
    return array
