"""Vectors passed from Python: latents and sentence embeddings, as arrays, tensors or lists."""

from collections.abc import Iterator

import numpy as np
import torch

from textvae.data.texts import describe
from textvae.errors import DataError, ShapeError

_NUMBER_KINDS = "fiu"  # NumPy's letters for numbers, without complex ones and truth values


def require_vectors(vectors: object, name: str, size: int, meaning: str) -> torch.Tensor:
    """Return vectors as a tensor on the CPU, (n, size), without a gradient.

    Args:
        vectors: rows of numbers, (n, size), or a single vector, (size,), which becomes one row.
        name: the name of the argument, for messages.
        size: the expected size of a vector.
        meaning: what this size is, for messages.

    Raises:
        ShapeError: the vectors have another shape.
        DataError: they are not numbers, or a number is not finite.
    """
    array = _convert_to_array(vectors, name)
    rows = np.atleast_2d(array)
    if rows.ndim != 2 or rows.shape[1] != size:
        raise ShapeError(f"{name} has the shape {array.shape}; expected (n, {size}), {meaning}.")
    # Numbers that are too large for 32 bits become infinite, and are refused with the others.
    with np.errstate(over="ignore"):
        converted = torch.as_tensor(rows.astype(np.float32))
    if not torch.isfinite(converted).all():
        raise DataError(f"{name} holds numbers that are not finite; leave these rows out.")
    return converted


def _convert_to_array(vectors: object, name: str) -> np.ndarray:
    """Return vectors as an array of numbers, of any shape.

    Raises:
        DataError: they are not numbers, or their rows have unequal lengths.
    """
    rows = list(vectors) if isinstance(vectors, Iterator) else vectors
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().cpu()
        if rows.is_floating_point():
            rows = rows.double()  # NumPy has no bfloat16
    try:
        array = np.asarray(rows)
        if array.dtype.kind not in _NUMBER_KINDS:
            raise TypeError
    # torch raises RuntimeError, for example for a list of tensors that need a gradient.
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{name} is {describe(vectors)}; expected an array of numbers, one row for each text."
        ) from None
    return array
