"""An ONNX graph while it is written: nodes and constants, named as they are added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPSETS: Final = {"": 18, "ai.onnx.ml": 5}
"""The versions of the operators used here; 5 is the first with trees in double."""

IR_VERSION: Final = 10
FLOAT: Final = 1
INT64: Final = 7
DOUBLE: Final = 11


class GraphWriter:
    """Collects the nodes and constants of a graph.

    Args:
        prefix: What the names begin with, so that several writers can share one graph.

    Attributes:
        nodes: ``onnx.NodeProto`` in the order in which they run.
        constants: ``onnx.TensorProto``, the graph's initializers.
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output.

        Returns:
            The name of its output.
        """
        from onnx import helper

        name = f"{self._prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def name(self, tensor: str, name: str) -> str:
        """Give a tensor another name, as an output of the graph must have."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        return name

    def constant(self, value: object) -> str:
        """Add a constant array; text must be an array of objects.

        Returns:
            Its name.
        """
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(tensor(value, name))
        return name

    def finish(self, inputs: Sequence[Any], outputs: Mapping[str, Any]) -> bytes:
        """The graph as the bytes of a file.

        Args:
            inputs: ``onnx.ValueInfoProto`` of each input.
            outputs: Name → ``(element type, shape)`` of each output.
        """
        from onnx import helper

        infos = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()]
        graph = helper.make_graph(self.nodes, "twin", list(inputs), infos, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="modelserving"
        )
        return bytes(model.SerializeToString())


def tensor(value: object, name: str = "") -> Any:
    """An array, or a number, as an ``onnx.TensorProto``."""
    import numpy as np
    from onnx import numpy_helper

    array = np.asarray(value)
    return numpy_helper.from_array(array, name)
