"""Files of vectors: `.npy`, or `.parquet` with the text beside each."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from textvae.errors import ConfigError, DataError

SUFFIXES = (".npy", ".parquet")
Array = NDArray[np.float32]


def check_vector_file(name: str) -> Path:
    """Return the path, or refuse a suffix we do not write.

    Raises:
        ConfigError: the suffix is neither .npy nor .parquet.
    """
    path = Path(name)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{name}: vectors are written as {' or '.join(SUFFIXES)}; name the file so.")
    return path


def write_vectors(file: Path, vectors: Array, texts: list[str]) -> None:
    """Write vectors, (n, latent), whole or not at all."""
    beside = file.with_name(f".{file.name}")
    try:
        if file.suffix == ".npy":
            with beside.open("wb") as stream:
                np.save(stream, vectors)
        else:
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
            pq.write_table(pa.table({"text": texts, "z": column}), beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def read_vectors(name: str) -> Array:
    """Return the vectors of a file, (n, latent).

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    file = check_vector_file(name)
    if not file.is_file():
        raise DataError(f"{name}: there is no such file.")
    try:
        if file.suffix == ".npy":
            loaded: Array = np.load(file, allow_pickle=False)
        else:
            loaded = np.stack(pq.read_table(file, columns=["z"])["z"].to_numpy())
    except (ValueError, OSError, EOFError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{name}: holds no vectors: {error}") from error
    if loaded.ndim != 2:
        raise DataError(f"{name}: holds an array of shape {loaded.shape}; wanted is (n, latent).")
    return loaded.astype(np.float32)
