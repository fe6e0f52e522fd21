"""Store the large matrices of an ONNX model in 8 bits, with a scale for each block of a row.

Activations stay in floating point: rounding them as well, as dynamic quantization does, changes
the most likely token of many sentences. So do small matrices, which hold little of the size:
between the encoder and the decoder, everything passes through a few of them. The runtime turns
the 8 bits into floating-point numbers once, when it loads them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_ELEMENTS = 2**17  # of a matrix that is stored in 8 bits
_BLOCK = 32  # neighbors in a row that share a scale, if its length is a multiple
_LARGEST = 127  # magnitude of an 8-bit number; symmetric, so -128 is not used


def round_weights(model: Any, min_elements: int = MIN_ELEMENTS) -> None:
    """Replace the large matrices of an `onnx.ModelProto` by rounded ones, in place."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    nodes = []
    for weight in list(graph.initializer):
        is_matrix = len(weight.dims) == 2 and weight.data_type == TensorProto.FLOAT
        if not is_matrix or int(np.prod(weight.dims)) < min_elements:
            continue
        columns = weight.dims[1]
        width = columns if columns % _BLOCK else _BLOCK
        rounded, scales = round_rows(numpy_helper.to_array(weight).reshape(-1, width))
        shape = np.array(weight.dims, dtype=np.int64)
        parts = {"rounded": rounded, "scale": scales, "shape": shape}
        graph.initializer.remove(weight)
        for part, values in parts.items():
            graph.initializer.append(numpy_helper.from_array(values, f"{weight.name}.{part}"))
        blocks = f"{weight.name}.blocks"
        stored = [f"{weight.name}.rounded", f"{weight.name}.scale"]
        nodes += [
            helper.make_node("DequantizeLinear", stored, [blocks], axis=0),
            helper.make_node("Reshape", [blocks, f"{weight.name}.shape"], [weight.name]),
        ]
    # Nodes are listed in the order of their computation, so these come first.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def round_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix in 8 bits, (rows, columns), and the scale of each row, (rows,)."""
    largest = np.abs(matrix).max(axis=1)
    scales = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales
