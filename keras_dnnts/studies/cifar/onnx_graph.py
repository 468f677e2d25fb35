"""The convolutional networks as ONNX graphs, a Keras layer at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto

from keras_dnnts.errors import UserError
from keras_dnnts.export.graph import Graph
from keras_dnnts.studies.cifar.models.alexnet import averaging_matrix

# Between the first Transpose and the classifier, maps are (N, C, H, W), as ONNX's operators have them.
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def build_image_graph(model: Any, size: int) -> GraphProto:
    """Build the graph of a network of this package, from ``images`` (batch, S, S, 3) float32 to ``logits``.

    Args:
        model: a functional Keras model whose layers are each called once.
        size: S.

    Raises:
        UserError: it has a layer of a kind that no network of this package has.
    """
    graph = Graph()
    graph.add_input("images", TensorProto.FLOAT, ["batch", size, size, 3])
    names: dict[int, str] = {id(model.inputs[0]): graph.add("Transpose", "images", perm=NHWC_TO_NCHW)}
    for layer in model.layers[1:]:
        add_layer = _LAYERS.get(type(layer).__name__)
        if add_layer is None:
            raise UserError(f"layer {layer.name!r} is of a kind that cannot be exported: {type(layer).__name__}")
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names[id(layer.output)] = add_layer(graph, layer, *[names[id(tensor)] for tensor in inputs])
    graph.add("Identity", names[id(model.outputs[0])], output="logits")
    graph.add_output("logits", ["batch", model.output_shape[1]])
    return graph.build(model.name)


def _convolve(graph: Graph, layer: Any, maps: str) -> str:
    weights = [array.astype(np.float32) for array in layer.get_weights()]
    kernel = graph.constant(f"{layer.name}_kernel", weights[0].transpose(3, 2, 0, 1))
    bias = [graph.constant(f"{layer.name}_bias", weights[1])] if layer.use_bias else []
    maps = graph.add("Conv", maps, kernel, *bias, strides=list(layer.strides), pads=[layer.border] * 4)
    return _activate(graph, layer, maps)


def _normalise(graph: Graph, layer: Any, maps: str) -> str:
    arrays = [array.astype(np.float32) for array in layer.get_weights()]
    if not layer.scale:
        arrays.insert(0, np.ones_like(arrays[0]))
    named = zip(("gamma", "beta", "mean", "variance"), arrays, strict=True)
    constants = [graph.constant(f"{layer.name}_{name}", array) for name, array in named]
    maps = graph.add("BatchNormalization", maps, *constants, epsilon=layer.epsilon)
    return _activate(graph, layer, maps)


def _connect(graph: Graph, layer: Any, features: str) -> str:
    arrays = zip(("kernel", "bias"), layer.get_weights(), strict=False)  # a bias may be missing
    constants = [graph.constant(f"{layer.name}_{name}", array.astype(np.float32)) for name, array in arrays]
    return _activate(graph, layer, graph.add("Gemm", features, *constants))


def _activate(graph: Graph, layer: Any, values: str) -> str:
    activation = layer.activation.__name__
    if activation not in ("linear", "relu", "gelu"):
        raise UserError(f"layer {layer.name!r} has an activation that cannot be exported: {activation}")
    if activation == "gelu":
        return _gelu(graph, layer.name, values)
    return graph.add("Relu", values) if activation == "relu" else values


def _gelu(graph: Graph, name: str, values: str) -> str:
    # x / 2 * (1 + erf(x / root of 2)): an operator of its own came only with opset 20.
    half, one, root = (
        graph.constant(f"{name}_{what}", np.array(number, np.float32))
        for what, number in (("half", 0.5), ("one", 1.0), ("root", np.sqrt(0.5)))
    )
    share = graph.add("Add", graph.add("Erf", graph.add("Mul", values, root)), one)
    return graph.add("Mul", graph.add("Mul", values, half), share)


def _add_bias(graph: Graph, layer: Any, maps: str) -> str:
    bias = layer.get_weights()[0].astype(np.float32).reshape(-1, 1, 1)
    return _activate(graph, layer, graph.add("Add", maps, graph.constant(f"{layer.name}_bias", bias)))


def _take_maximum(graph: Graph, layer: Any, maps: str) -> str:
    factor = graph.constant(f"{layer.name}_factor", np.array(layer.factor, np.float32))
    return graph.add("Mul", graph.add("Flatten", graph.add("GlobalMaxPool", maps)), factor)


def _pool(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add(
        "MaxPool",
        maps,
        kernel_shape=list(layer.pool_size),
        strides=list(layer.strides),
        pads=[layer.border] * 4,
    )


def _pool_adaptively(graph: Graph, layer: Any, maps: str) -> str:
    _, height, width, _ = layer.input.shape
    rows = graph.constant(f"{layer.name}_rows", averaging_matrix(height, layer.size))
    columns = graph.constant(f"{layer.name}_columns", averaging_matrix(width, layer.size).T)
    return graph.add("MatMul", graph.add("MatMul", rows, maps), columns)


def _pool_globally(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add("Flatten", graph.add("GlobalAveragePool", maps))


def _flatten(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add("Flatten", graph.add("Transpose", maps, perm=NCHW_TO_NHWC))


def _pass_on(graph: Graph, layer: Any, values: str) -> str:
    return values


def _add(graph: Graph, layer: Any, maps: str, shortcut: str) -> str:
    return graph.add("Add", maps, shortcut)


def _rectify(graph: Graph, layer: Any, maps: str) -> str:
    return graph.add("Relu", maps)


_LAYERS: dict[str, Callable[..., str]] = {
    "Conv2D": _convolve,
    "ChannelBias": _add_bias,
    "ChannelMaximum": _take_maximum,
    "BatchNormalization": _normalise,
    "Dense": _connect,
    "MaxPooling2D": _pool,
    "AdaptiveAveragePooling2D": _pool_adaptively,
    "GlobalAveragePooling2D": _pool_globally,
    "Flatten": _flatten,
    "Dropout": _pass_on,
    "Add": _add,
    "ReLU": _rectify,
}
