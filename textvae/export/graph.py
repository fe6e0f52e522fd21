"""Build an ONNX graph one operator at a time.

The graphs of recurrent models are built by hand: that takes milliseconds where tracing takes
most of a minute, and gives twenty kinds of operators that a page can compute itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

OPSET = 18  # of ONNX; onnxruntime has it since release 1.14
_IR_VERSION = 8  # of the file format, which goes with this opset


class Graph:
    """An ONNX graph under construction; values are known by their names.

    Integers are int64 and all other numbers float32, as onnxruntime expects them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def add_input(self, name: str, kind: type, shape: Sequence[int | str]) -> str:
        """Declare an input of numbers of a kind (int or float); a size that is a name is free."""
        self._inputs.append(_describe_value(name, kind, shape))
        return name

    def add_output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a value of floating-point numbers as an output under this name."""
        self._add_node("Identity", [value], [name])
        self._outputs.append(_describe_value(name, float, shape))

    def add_weight(self, name: str, weight: Tensor | NDArray[np.float32]) -> str:
        """Add a weight of the model under its own name, once."""
        if name not in self._constants:
            values = weight.detach().cpu().numpy() if isinstance(weight, Tensor) else weight
            self._add_constant(name, np.ascontiguousarray(values, dtype=np.float32))
        return name

    def add_integers(self, *values: int) -> str:
        """Add a vector of integers, such as axes or a shape."""
        name = "integers_" + "_".join(map(str, values))
        if name not in self._constants:
            self._add_constant(name, np.array(values, dtype=np.int64))
        return name

    def add_number(self, value: float) -> str:
        """Add a single floating-point number."""
        name = f"number_{value!r}"
        if name not in self._constants:
            self._add_constant(name, np.array(value, dtype=np.float32))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one result; return the name of the result."""
        return self.add_many(operator, inputs, 1, **attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> list[str]:
        """Add an operator with several results; return their names. An input that is "" is left out."""
        number = len(self._nodes)
        outputs = [f"{operator.lower()}_{number}_{index}" for index in range(count)]
        self._add_node(operator, inputs, outputs, **attributes)
        return outputs

    def build(self) -> Any:
        """Return the graph as a checked `onnx.ModelProto`."""
        from onnx import checker, helper

        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values())
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], producer_name="textvae", ir_version=_IR_VERSION
        )
        checker.check_model(model, full_check=True)
        return model

    def _add_node(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Append a node."""
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def _add_constant(self, name: str, values: NDArray[Any]) -> None:
        """Add an initializer."""
        from onnx import numpy_helper

        self._constants[name] = numpy_helper.from_array(values, name)


def _describe_value(name: str, kind: type, shape: Sequence[int | str]) -> Any:
    """Return the type of an input or output."""
    from onnx import TensorProto, helper

    number = TensorProto.INT64 if kind is int else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, number, shape)
