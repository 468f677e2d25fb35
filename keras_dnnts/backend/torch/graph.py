"""A functional model's graph, resolved once to be run on many single examples."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch
from keras import tree
from keras.src.backend.common.masking import get_keras_mask

Values = dict[int, Any]
"""Tensors by the identity of the symbolic tensors that stand for them in the graph."""


def resolve_graph(model: keras.Model) -> Callable[..., torch.Tensor]:
    """Return a function of a model's inputs that computes what ``model(inputs, training=True)`` does.

    On a single example, what Keras does around every layer's ``call`` (it casts, checks, looks for masks, walks through
    nested arguments) takes longer than the arithmetic. Here a layer's ``call`` runs directly unless the model needs one
    of these steps.

    Args:
        model: functional, with tensors for inputs and one output. Call the result within :func:`training` of it.
    """
    nodes = [node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes]
    masked = any(get_keras_mask(tensor) is not None for node in nodes for tensor in node.outputs)
    layers = model._flatten_layers(include_self=False)
    dtypes = {dtype for layer in layers for dtype in (layer.compute_dtype, layer.variable_dtype)}
    bare = not masked and len(dtypes) == 1
    steps = [_resolve_node(node, bare) for node in nodes if not node.is_input]
    inputs, output = [id(tensor) for tensor in model.inputs], id(model.outputs[0])

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        values = dict(zip(inputs, tensors, strict=True))
        for step in steps:
            step(values)
        return values[output]

    return run


@contextlib.contextmanager
def training(model: keras.Model) -> Iterator[None]:
    """Let layers within know that they train, as they do within ``model(inputs, training=True)``."""
    model._get_call_context().set_value("training", True)
    try:
        yield
    finally:
        model._maybe_reset_call_context()


def _resolve_node(node: Any, bare: bool) -> Callable[[Values], None]:
    """The computation of one node of the graph, which adds its outputs to the values."""
    operation, arguments = node.operation, node.arguments
    # Layers within a layer are called by it, and find what surrounds their call in its own.
    call = _bare(operation) if bare and not getattr(operation, "_layers", ()) else operation
    # Stored arguments have the values of the time when the graph was built.
    trains = {"training": True} if getattr(operation, "_call_has_training_arg", False) else {}
    inputs, outputs = ([id(tensor) for tensor in tensors] for tensors in (arguments.keras_tensors, node.outputs))
    # Unless tensors are all that stands there, Keras has to walk through the arguments anew for every example.
    flat = inputs == [id(argument) for argument in arguments.args]
    constant = {**arguments.kwargs, **trains}

    def run(values: Values) -> None:
        if flat:
            result = call(*[values[key] for key in inputs], **constant)
        else:
            args, kwargs = arguments.fill_in(values)
            result = call(*args, **{**kwargs, **trains})
        if isinstance(result, torch.Tensor):
            values[outputs[0]] = result
        else:
            values.update(zip(outputs, tree.flatten(result), strict=True))

    return run


def _bare(operation: Any) -> Callable[..., Any]:
    if type(operation) is keras.layers.Dense and isinstance(operation.kernel, keras.Variable):
        return _dense(operation)
    return operation.call


def _dense(layer: keras.layers.Dense) -> Callable[[torch.Tensor], torch.Tensor]:
    """A dense layer's ``call``, without asking each time in which of many ways its kernel may be kept."""
    kernel, bias, activation = layer.kernel.value, layer.use_bias and layer.bias.value, layer.activation

    def call(inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if layer.use_bias and inputs.ndim == 2:
            outputs = torch.addmm(bias, inputs, kernel)
        else:
            outputs = inputs @ kernel + bias if layer.use_bias else inputs @ kernel
        return outputs if activation is keras.activations.linear else activation(outputs)

    return call
