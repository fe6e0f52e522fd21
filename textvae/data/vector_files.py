"""Files of vectors: `.npy`, or `.parquet` with the row number and the text next to each vector.

There is one vector per row of the file that was encoded. The vector of a blank row
is NaN in `.npy`; in `.parquet` its text and its vector are null.
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
from textvae.runtime.paths import require_path

_NPY_MAGIC = b"\x93NUMPY"
_VECTOR_SUFFIXES = (".npy", ".parquet")

_Float32Array = NDArray[np.float32]

_VectorBlocks = Iterable[tuple[list[str], _Float32Array]]  # n texts and their vectors, (n, latent)


def check_vector_file(name: str) -> Path:
    """Return the path of a file of vectors, or refuse its suffix.

    Raises:
        ConfigError: the suffix is neither .npy nor .parquet.
    """
    path = require_path(name, "the file of vectors")
    if path.suffix not in _VECTOR_SUFFIXES:
        raise ConfigError(
            f"{name}: the name of a file of vectors must end in {' or '.join(_VECTOR_SUFFIXES)}."
        )
    return path


def write_vectors(file: Path, blocks: _VectorBlocks, latent: int) -> int:
    """Write vectors block by block; return their number.

    The file appears only when it is complete.

    Args:
        file: a .npy or .parquet file, which is overwritten if it exists.
        blocks: texts and their vectors; a blank text is empty, and its vector is NaN.
        latent: the size of a vector, for the shape of a .npy file.

    Raises:
        OutputError: the file cannot be written, for instance because the disk is full.
    """
    try:
        with write_atomically(file) as partial:
            if file.suffix == ".npy":
                return _write_npy(partial, blocks, latent)
            return _write_parquet(partial, blocks)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{file}: cannot be written: {reason}. Free some space, or name another file."
        ) from error


def _write_npy(file: Path, blocks: _VectorBlocks, latent: int) -> int:
    """Write vectors as one array, (n, latent), where n is known only at the end; return n."""
    count = 0
    with file.open("wb") as stream:
        # numpy pads its header so that a larger shape can overwrite it later.
        _write_npy_header(stream, (0, latent))
        for _, vectors in blocks:
            stream.write(vectors.tobytes())
            count += len(vectors)
        stream.seek(0)
        _write_npy_header(stream, (count, latent))
    return count


def _write_npy_header(stream: IO[bytes], shape: tuple[int, int]) -> None:
    """Write the header of a .npy file of single-precision numbers."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _write_parquet(file: Path, blocks: _VectorBlocks) -> int:
    """Write row numbers from 1, texts and vectors as columns; return the number of rows."""
    count = 0
    schema = pa.schema([("row", pa.int64()), ("text", pa.string()), ("z", pa.list_(pa.float32()))])
    with pq.ParquetWriter(file, schema) as writer:
        for texts, vectors in blocks:
            columns = {
                "row": range(count + 1, count + len(texts) + 1),
                "text": [text or None for text in texts],
                "z": build_vector_column(vectors),
            }
            writer.write_table(pa.table(columns, schema=schema))
            count += len(texts)
    return count


def build_vector_column(vectors: _Float32Array) -> pa.ListArray:
    """Return vectors, (n, latent), as an Arrow column of lists; missing ones are null.

    The lists have no fixed size, because pyarrow before version 26 cannot write null among
    lists of fixed size to Parquet.
    """
    missing = is_missing(vectors)
    lengths = np.where(missing, 0, vectors.shape[1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    is_null = np.append(missing, False)  # the last offset starts no list, but ends one
    values = pa.array(vectors[~missing].ravel())
    return pa.ListArray.from_arrays(pa.array(offsets, mask=is_null), values)


def is_missing(vectors: _Float32Array) -> NDArray[np.bool_]:
    """Return a mask, (n,), of the vectors, (n, latent), that are all NaN: those of blank rows."""
    missing: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(vectors), axis=1)
    return missing


def read_vectors(name: str) -> _Float32Array:
    """Return the vectors of a file, (n, latent); those of blank rows are NaN.

    Raises:
        ConfigError: the suffix is neither .npy nor .parquet.
        DataError: the file is missing, damaged, or contains something else.
    """
    file = check_vector_file(name)
    if not file.is_file():
        raise DataError(f"{name}: there is no such file.")
    try:
        if file.suffix == ".npy":
            loaded: NDArray[Any] = _load_npy(file)
        else:
            loaded = _stack_vectors(pq.read_table(file, columns=["z"])["z"])
        if loaded.dtype.kind not in "fiu":  # such as dates, text and complex numbers
            raise ValueError(f"numbers of the type {loaded.dtype}")
        # Numbers that are too large become infinite, and the caller refuses those.
        with np.errstate(over="ignore"):
            loaded = loaded.astype(np.float32)
    except (
        ValueError,
        TypeError,
        OSError,
        EOFError,
        MemoryError,
        pa.ArrowException,
        KeyError,
    ) as error:
        raise DataError(
            f"{name}: contains no vectors; expected a file that `textvae encode` wrote."
        ) from error
    if loaded.ndim != 2 or not len(loaded):
        raise DataError(
            f"{name}: contains an array of shape {loaded.shape}; "
            "expected (n, latent) with n at least 1."
        )
    return loaded


def _load_npy(file: Path) -> NDArray[Any]:
    """Return the array in a .npy file.

    Raises:
        ValueError: it is not a .npy file, although its name says so.
    """
    with file.open("rb") as stream:
        if stream.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
            raise ValueError("another format")
    # Mapped, the file is only checked against its header, which may promise more than any
    # memory holds.
    loaded: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return loaded


def _stack_vectors(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of vectors as an array, (n, latent); null ones are NaN.

    Raises:
        ValueError: there is no vector, or they differ in length.
    """
    vectors = np.stack(column.drop_null().to_numpy())
    rows = np.full((len(column), *vectors.shape[1:]), np.nan)
    rows[column.is_valid().to_numpy()] = vectors
    return rows
