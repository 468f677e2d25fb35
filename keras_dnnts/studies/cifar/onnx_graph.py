"""Networks of images as ONNX graphs, a Keras layer at a time.

A layer of a person's own is exported by its method ``to_onnx(graph, *inputs)``: it adds operators to a
:class:`keras_dnnts.export.graph.Graph` and returns the name of its output. Maps are (N, C, H, W) there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto

from keras_dnnts.errors import UserError
from keras_dnnts.export.graph import Graph
from keras_dnnts.studies.cifar.models.alexnet import averaging_matrix

# Between the first Transpose and the classifier, maps are (N, C, H, W), as ONNX's operators have them.
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def build_image_graph(model: Any) -> GraphProto:
    """Build the graph of a network, from ``images`` (batch, S, S, 3) float32 to ``logits``.

    Args:
        model: a functional Keras model whose layers are each called once, on maps (N, H, W, C) or features (N, D).

    Raises:
        UserError: it has a layer of a kind that cannot be exported, or one that is called twice.
    """
    graph = Graph()
    graph.add_input("images", TensorProto.FLOAT, ["batch", *model.input_shape[1:]])
    names: dict[int, str] = {id(model.inputs[0]): graph.add("Transpose", "images", perm=NHWC_TO_NCHW)}
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        add_layer = _find_operator(layer)
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names[id(layer.output)] = add_layer(graph, layer, *[names[id(tensor)] for tensor in inputs])
    graph.add("Identity", names[id(model.outputs[0])], output="logits")
    graph.add_output("logits", ["batch", model.output_shape[1]])
    return graph.build(model.name)


def _find_operator(layer: Any) -> Callable[..., str]:
    """What adds a layer to a graph.

    Raises:
        UserError: nothing does.
    """
    if len(layer._inbound_nodes) != 1:
        raise UserError(f"layer {layer.name!r} cannot be exported: it is called {len(layer._inbound_nodes)} times")
    if hasattr(layer, "to_onnx"):
        return lambda graph, layer, *inputs: layer.to_onnx(graph, *inputs)
    add_layer = _LAYERS.get(type(layer).__name__)
    if add_layer is None:
        raise UserError(f"layer {layer.name!r} is of a kind that cannot be exported: {type(layer).__name__}")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UserError(f"layer {layer.name!r} cannot be exported: its channels are not last")
    return add_layer


def _convolve(graph: Graph, layer: Any, maps: str) -> str:
    weights = [array.astype(np.float32) for array in layer.get_weights()]
    kernel = graph.constant(f"{layer.name}_kernel", weights[0].transpose(3, 2, 0, 1))
    bias = [graph.constant(f"{layer.name}_bias", weights[1])] if layer.use_bias else []
    about: dict[str, Any] = {"strides": list(layer.strides), "dilations": list(layer.dilation_rate), "group": layer.groups}
    maps = graph.add("Conv", maps, kernel, *bias, **about, **_padding(layer))
    return _activate(graph, layer, maps)


def _padding(layer: Any) -> dict[str, Any]:
    """This package's layers pad every side alike, Keras's own as their ``padding`` says."""
    if hasattr(layer, "border"):
        return {"pads": [layer.border] * 4}
    return {"auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]}


def _normalise(graph: Graph, layer: Any, maps: str) -> str:
    arrays = dict(zip([variable.name for variable in layer.weights], layer.get_weights(), strict=True))
    ones = np.ones_like(arrays["moving_mean"])
    values = {"gamma": ones, "beta": 0 * ones, **arrays}
    order = ("gamma", "beta", "moving_mean", "moving_variance")
    constants = [graph.constant(f"{layer.name}_{name}", values[name].astype(np.float32)) for name in order]
    maps = graph.add("BatchNormalization", maps, *constants, epsilon=layer.epsilon)
    return _activate(graph, layer, maps)


def _connect(graph: Graph, layer: Any, features: str) -> str:
    if len(layer.input.shape) != 2:
        raise UserError(f"layer {layer.name!r} cannot be exported: its input has {len(layer.input.shape)} axes, not 2")
    weights = [array.astype(np.float32) for array in layer.get_weights()]
    bias = weights[1] if layer.use_bias else np.zeros(layer.units, np.float32)
    constants = graph.constant(f"{layer.name}_kernel", weights[0]), graph.constant(f"{layer.name}_bias", bias)
    return _activate(graph, layer, graph.add("Gemm", features, *constants))


def _activate(graph: Graph, layer: Any, values: str) -> str:
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation not in _ACTIVATIONS:
        raise UserError(f"layer {layer.name!r} has an activation that cannot be exported: {activation}")
    operator = _ACTIVATIONS[activation]
    return graph.add(operator, values) if operator else values


def _pool(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add(
        "MaxPool",
        maps,
        kernel_shape=list(layer.pool_size),
        strides=list(layer.strides),
        **_padding(layer),
    )


def _average(graph: Graph, layer: Any, maps: str) -> str:
    about: dict[str, Any] = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
    return graph.add("AveragePool", maps, **about, **_padding(layer))


def _pool_adaptively(graph: Graph, layer: Any, maps: str) -> str:
    _, height, width, _ = layer.input.shape
    rows = graph.constant(f"{layer.name}_rows", averaging_matrix(height, layer.size))
    columns = graph.constant(f"{layer.name}_columns", averaging_matrix(width, layer.size).T)
    return graph.add("MatMul", graph.add("MatMul", rows, maps), columns)


def _pool_globally(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add("Flatten", graph.add("GlobalAveragePool", maps))


def _flatten(graph: Graph, layer: Any, maps: str) -> str:
    if len(layer.input.shape) != 4:
        return graph.add("Flatten", maps)
    return graph.add("Flatten", graph.add("Transpose", maps, perm=NCHW_TO_NHWC))


def _pass_on(graph: Graph, layer: Any, values: str) -> str:
    return values


def _add(graph: Graph, layer: Any, maps: str, *others: str) -> str:
    for other in others:
        maps = graph.add("Add", maps, other)
    return maps


def _rectify(graph: Graph, layer: Any, maps: str) -> str:
    if (layer.max_value, layer.negative_slope, layer.threshold) != (None, 0, 0):
        raise UserError(f"layer {layer.name!r} cannot be exported: it is more than a plain ReLU")
    return graph.add("Relu", maps)


_ACTIVATIONS = {"linear": None, "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus"}


_LAYERS: dict[str, Callable[..., str]] = {
    "Conv2D": _convolve,
    "BatchNormalization": _normalise,
    "Dense": _connect,
    "Activation": _activate,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _average,
    "AdaptiveAveragePooling2D": _pool_adaptively,
    "GlobalAveragePooling2D": _pool_globally,
    "Flatten": _flatten,
    "Dropout": _pass_on,
    "SpatialDropout2D": _pass_on,
    "Add": _add,
    "ReLU": _rectify,
}
