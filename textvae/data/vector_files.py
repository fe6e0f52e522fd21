"""Files of vectors: `.npy`, or `.parquet` with the row and the text next to each.

There is a vector for each row of the file that was encoded. A blank row has NaN
in `.npy`; in `.parquet` its text and its vector are null.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from textvae.errors import ConfigError, DataError, OutputError
from textvae.runtime.files import write_atomically

_VECTOR_SUFFIXES = (".npy", ".parquet")


_Float32Array = NDArray[np.float32]


_VectorBlocks = Iterable[tuple[list[str], _Float32Array]]  # texts and their vectors


def check_vector_file(name: str) -> Path:
    """Return the path, or refuse a suffix we do not write.

    Raises:
        ConfigError: the suffix is neither .npy nor .parquet.
    """
    path = Path(name)
    if path.suffix not in _VECTOR_SUFFIXES:
        raise ConfigError(
            f"{name}: vectors are written as {' or '.join(_VECTOR_SUFFIXES)}; name the file so."
        )
    return path


def write_vectors(file: Path, blocks: _VectorBlocks, latent: int) -> int:
    """Write vectors, (n, latent), as they come: the file is whole or not there. Return n.

    Raises:
        OutputError: the file cannot be written; the disk may be full.
    """
    write = _write_npy if file.suffix == ".npy" else _write_parquet
    try:
        with write_atomically(file) as partial:
            return write(partial, blocks, latent)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{file}: cannot be written: {reason}. Make room there, or name another file."
        ) from error


def _write_npy(file: Path, blocks: _VectorBlocks, latent: int) -> int:
    """Write an array whose length is known at its end: numpy's header has room for it to grow."""
    count = 0
    with file.open("wb") as stream:
        _write_npy_header(stream, (0, latent))
        for _, vectors in blocks:
            stream.write(vectors.tobytes())
            count += len(vectors)
        stream.seek(0)
        _write_npy_header(stream, (count, latent))
    return count


def _write_npy_header(stream: IO[bytes], shape: tuple[int, int]) -> None:
    """Write the head of a .npy file of single-precision numbers."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _write_parquet(file: Path, blocks: _VectorBlocks, latent: int) -> int:
    """Write texts and vectors side by side, each with its row, counted from 1."""
    count = 0
    schema = pa.schema(
        [("row", pa.int64()), ("text", pa.string()), ("z", pa.list_(pa.float32(), latent))]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for texts, vectors in blocks:
            rows = range(count + 1, count + len(texts) + 1)
            known = [text or None for text in texts]
            writer.write_table(
                pa.table(
                    {"row": rows, "text": known, "z": build_vector_column(vectors)}, schema=schema
                )
            )
            count += len(texts)
    return count


def build_vector_column(vectors: _Float32Array) -> pa.FixedSizeListArray:
    """Return vectors, (n, latent), as an Arrow column; missing ones are null."""
    values, missing = pa.array(vectors.ravel()), pa.array(is_missing(vectors))
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=missing)


def is_missing(vectors: _Float32Array) -> NDArray[np.bool_]:
    """Return whether each vector stands for a blank row, (n,): whether all of it is NaN."""
    missing: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(vectors), axis=1)
    return missing


def read_vectors(name: str) -> _Float32Array:
    """Return the vectors of a file, (n, latent); those of blank rows are NaN.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    file = check_vector_file(name)
    if not file.is_file():
        raise DataError(f"{name}: there is no such file.")
    try:
        if file.suffix == ".npy":
            loaded: NDArray[Any] = np.load(file, allow_pickle=False)
        else:
            loaded = _stacked(pq.read_table(file, columns=["z"])["z"])
        with np.errstate(
            over="ignore"
        ):  # what is too large becomes infinite, and is refused as such
            loaded = loaded.astype(np.float32)
    except (ValueError, OSError, EOFError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(
            f"{name}: holds no vectors; wanted is a file that `textvae encode` wrote."
        ) from error
    if loaded.ndim != 2 or not len(loaded):
        raise DataError(f"{name}: holds an array of shape {loaded.shape}; wanted is (n, latent).")
    return loaded


def _stacked(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of vectors as an array, (n, latent); null ones are NaN.

    Raises:
        ValueError: there is no vector, or they differ in length.
    """
    known = column.drop_null()
    vectors = np.stack(known.to_numpy())
    whole = np.full((len(column), *vectors.shape[1:]), np.nan)
    whole[column.is_valid().to_numpy()] = vectors
    return whole
