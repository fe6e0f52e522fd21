"""Arrow files: rows are written block by block, and columns of numbers read as arrays.

Nothing slow is imported before it is needed: `datasets` alone takes as long as a small model.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from textvae.errors import CheckpointError

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

ROWS_PER_BLOCK = 5_000  # rows that are in memory at once


def write_arrow(rows: Iterable[dict[str, Any]], file: Path, schema: "pa.Schema") -> None:
    """Write rows to an Arrow file, one block at a time."""
    write_record_batches(_build_batches(iter(rows), schema), file, schema)


def write_record_batches(
    batches: Iterable["pa.RecordBatch"], file: Path, schema: "pa.Schema"
) -> None:
    """Write batches of rows to an Arrow file, one at a time."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def open_arrow(file: Path) -> "Dataset":
    """Return the rows of an Arrow file, memory-mapped.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    from datasets import Dataset

    try:
        return Dataset.from_file(str(file))
    except Exception as error:  # pyarrow and datasets raise errors without a common base
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(
            f"{file}: is missing or damaged ({reason[:200]}). Copy the whole folder again."
        ) from error


def require_known_tokens(dataset: "Dataset", vocab: int, source: str) -> None:
    """Check that a tokenized split belongs to a model, whose embedding would fail otherwise.

    Args:
        vocab: the number of tokens of the model.
        source: where the split comes from, for the message.

    Raises:
        CheckpointError: a token id is not one of the model's.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(dataset):
        return
    # `with_format` reads the mapped file without an object per number.
    table = dataset.select_columns(["input_ids"]).with_format("arrow")[:]
    try:
        bounds = pc.min_max(pc.list_flatten(table["input_ids"])).as_py()
        is_known = bounds["min"] is None or (bounds["min"] >= 0 and bounds["max"] < vocab)
    except (pa.ArrowException, TypeError) as error:
        raise CheckpointError(f"{source}: its tokens cannot be read ({error}).") from error
    if not is_known:
        raise CheckpointError(
            f"{source}: has tokens from {bounds['min']} to {bounds['max']}, and the model has "
            f"{vocab:,}: the corpus belongs to another model, or is damaged. Copy the whole folder "
            "again."
        )


def read_number_column(dataset: "Dataset", name: str) -> NDArray[Any]:
    """Return a column of numbers as an array, (n,), without a Python object per number."""
    table = dataset.select_columns([name]).with_format("arrow")[:]
    # torch needs an array it may write to; that of pyarrow may be a read-only view.
    array: NDArray[Any] = table[name].to_numpy().copy()
    return array


def iterate_token_ids(dataset: "Dataset") -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the token ids of a tokenized split, block by block, without a Python object per number.

    Shapes:
        ids: (tokens,), those of all rows of a block, one row after another
        lengths: (rows,), the number of tokens of each row
    """
    blocks = dataset.select_columns(["input_ids"]).with_format("arrow").iter(ROWS_PER_BLOCK)
    for table in blocks:
        column = table["input_ids"].combine_chunks()
        yield column.flatten().to_numpy(), column.value_lengths().to_numpy()


def _build_batches(
    rows: Iterator[dict[str, Any]], schema: "pa.Schema"
) -> Iterator["pa.RecordBatch"]:
    """Yield rows as record batches of `ROWS_PER_BLOCK` rows; the last one may have fewer."""
    import pyarrow as pa

    while block := list(islice(rows, ROWS_PER_BLOCK)):
        yield pa.RecordBatch.from_pylist(block, schema=schema)
