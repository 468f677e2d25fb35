"""Writing an ONNX graph an operator at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

# Old enough for every runtime in use, new enough for every operator here.
OPSET, IR_VERSION = 17, 8


class Graph:
    """An ONNX graph in the making. Tensors go by name; those between operators are numbered."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def add_input(self, name: str, kind: int, shape: Sequence[int | str]) -> None:
        """Declare an input; a name in ``shape`` stands for any number."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))

    def add_output(self, name: str, shape: Sequence[int | str]) -> None:
        """Declare a float32 output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def constant(self, name: str, values: np.ndarray) -> str:
        """Keep an array in the graph and return its name."""
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add an operator of one output and return that output's name."""
        return self._add(operator, inputs, [output or self._new_name(operator)], attributes)[0]

    def add_many(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add an operator of several outputs and return their names."""
        names = [f"{self._new_name(operator)}_{i}" for i in range(outputs)]
        return self._add(operator, inputs, names, attributes)

    def _new_name(self, operator: str) -> str:
        return f"{operator.lower()}_{len(self._nodes)}"

    def _add(self, operator: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]) -> list[str]:
        self._nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs

    def build(self, name: str) -> GraphProto:
        """The finished graph."""
        return helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._constants.values()))


def build_model(graph: GraphProto, about: str, metadata: dict[str, str]) -> ModelProto:
    """The model of a graph, with a sentence about it and more to read by name."""
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[opset])
    describe_model(model, about, metadata)
    return model


def describe_model(model: ModelProto, about: str, metadata: dict[str, str]) -> None:
    """Write into a model a sentence about it, more to read by name, and what made it."""
    from keras_dnnts import __version__

    model.producer_name, model.producer_version = "keras_dnnts", __version__
    model.doc_string = about
    helper.set_model_props(model, metadata)
