"""Store the matrices of an ONNX model in 8 bits, with a scale for each row.

A row is the weights of one unit, or the embedding of one token, so a large weight costs precision
in its own row only. Activations stay in floating point: rounding them as well, as dynamic
quantization does, changes the most likely token of many sentences. The runtime turns the matrices
into floating-point numbers once, when it loads them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIN_ELEMENTS = 4_096  # smaller matrices stay as they are: they save no space
_LARGEST = 127  # magnitude of an 8-bit number; symmetric, so -128 is not used


def round_weights(model: Any) -> None:
    """Replace the large matrices of an `onnx.ModelProto` by rounded ones, in place."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    nodes = []
    for weight in list(graph.initializer):
        is_matrix = len(weight.dims) == 2 and weight.data_type == TensorProto.FLOAT
        if not is_matrix or int(np.prod(weight.dims)) < _MIN_ELEMENTS:
            continue
        rounded, scales = round_rows(numpy_helper.to_array(weight))
        stored = f"{weight.name}.rounded"
        scale = f"{weight.name}.scale"
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(rounded, stored))
        graph.initializer.append(numpy_helper.from_array(scales, scale))
        nodes.append(helper.make_node("DequantizeLinear", [stored, scale], [weight.name], axis=0))
    # Nodes are listed in the order of their computation, so these come first.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def round_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix in 8 bits, (rows, columns), and the scale of each row, (rows,)."""
    largest = np.abs(matrix).max(axis=1)
    scales = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales
