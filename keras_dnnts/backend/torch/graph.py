"""A functional model's graph, resolved once to be run many times."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch
from keras import tree
from keras.src.backend import is_float_dtype
from keras.src.backend.common.masking import get_keras_mask
from keras.src.backend.common.variables import AutocastScope, get_autocast_scope
from keras.src.backend.torch.core import get_device, to_torch_dtype
from keras.src.models.functional import Functional

Values = dict[int, Any]
"""Tensors by the identity of the symbolic tensors that stand for them in the graph."""


def resolve_graph(model: keras.Model, trains: bool = True, single: bool = False) -> Callable[..., torch.Tensor]:
    """Return a function of a model's inputs that computes what ``model(inputs, training=trains)`` does.

    On few examples, and on a GPU, what Keras does around every layer's ``call`` (it casts, checks, looks for masks,
    walks through nested arguments) takes longer than the arithmetic, or than starting it. Here a layer's ``call`` runs
    directly unless the model needs one of these steps.

    Args:
        model: functional, with tensors for inputs and one output. Call the result within :func:`training` of it, or
            within a call of it.
        trains: whether layers compute as they do in training.
        single: whether it is for single examples, where fewer operations count for more than Keras's very rounding.
    """
    nodes = [node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes]
    masked = any(get_keras_mask(tensor) is not None for node in nodes for tensor in node.outputs)
    layers = model._flatten_layers(include_self=False)
    dtypes = {dtype for layer in layers for dtype in (layer.compute_dtype, layer.variable_dtype)}
    how = _as_it_is if masked else _in_own_precision if len(dtypes) > 1 else _of_single if single else _bare
    steps = [_resolve_node(node, how, trains) for node in nodes if not node.is_input]
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


class Resolved(keras.Model):
    """A functional model of another one's layers and a single output, which runs its resolved graph."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute outputs for a batch."""
        if mask is not None or get_device() == "meta":  # where Keras finds out shapes
            return super().call(inputs, training=training, mask=mask)
        graphs = self.__dict__.setdefault("_graphs", {})  # past Keras, which would look for layers there
        trains = bool(training)
        if trains not in graphs:
            graphs[trains] = resolve_graph(self, trains)
        return graphs[trains](*self._standardize_inputs(inputs))


def resolved(model: keras.Model) -> keras.Model:
    """A model of the same layers that computes the same with less around every layer, if this one is functional."""
    plain = type(model) is Functional and len(model.outputs) == 1
    return Resolved(model.inputs, model.outputs, name=model.name) if plain else model


def _resolve_node(node: Any, how: Callable[[Any], Callable], trains: bool) -> Callable[[Values], None]:
    """The computation of one node of the graph, which adds its outputs to the values."""
    operation, arguments = node.operation, node.arguments
    call = how(operation) if _stands_alone(operation) else operation
    # Stored arguments have the values of the time when the graph was built.
    switch = {"training": trains} if getattr(operation, "_call_has_training_arg", False) else {}
    inputs, outputs = ([id(tensor) for tensor in tensors] for tensors in (arguments.keras_tensors, node.outputs))
    # Unless tensors, or a list of them, are all that stands there, Keras has to walk through them anew in every call.
    flat = inputs == [id(argument) for argument in arguments.args]
    listed = not flat and len(arguments.args) == 1 and _are_listed(arguments.args[0], inputs)
    constant = {**arguments.kwargs, **switch}

    def run(values: Values) -> None:
        if flat:
            result = call(*[values[key] for key in inputs], **constant)
        elif listed:
            result = call([values[key] for key in inputs], **constant)
        else:
            args, kwargs = arguments.fill_in(values)
            result = call(*args, **{**kwargs, **switch})
        if isinstance(result, torch.Tensor):
            values[outputs[0]] = result
        else:
            values.update(zip(outputs, tree.flatten(result), strict=True))

    return run


def _stands_alone(operation: Any) -> bool:
    """Whether ``call`` is all that an operation computes, if its inputs are as it takes them."""
    if not isinstance(operation, keras.layers.Layer):
        return True
    own = type(operation).__call__ is not keras.layers.Layer.__call__ or operation._call_context_args != {"training"}
    # Layers within a layer are called by it, and find what surrounds their call in its own.
    return not own and not operation._layers and operation.activity_regularizer is None


def _are_listed(argument: Any, tensors: list[int]) -> bool:
    return isinstance(argument, list) and tensors == [id(one) for one in argument]


def _as_it_is(operation: Any) -> Callable[..., Any]:
    return operation


def _bare(operation: Any) -> Callable[..., Any]:
    return operation.call


def _of_single(operation: Any) -> Callable[..., Any]:
    if type(operation) is keras.layers.Dense and isinstance(operation.kernel, keras.Variable):
        return _dense(operation)
    return operation.call


def _in_own_precision(operation: Any) -> Callable[..., Any]:
    """An operation's ``call``, with inputs and variables cast to the precision that a layer computes in."""
    if not isinstance(operation, keras.layers.Layer):
        return operation.call
    call, autocast, taken = operation.call, operation.autocast, to_torch_dtype(operation.input_dtype)
    computes_in = operation.compute_dtype if autocast and is_float_dtype(operation.compute_dtype) else None
    casts = autocast and operation._convert_input_args

    def cast(argument: Any) -> Any:
        if isinstance(argument, torch.Tensor):
            return argument.to(taken) if argument.is_floating_point() else argument
        return tree.map_structure(cast, argument) if tree.is_nested(argument) else argument

    def run(*args: Any, **kwargs: Any) -> Any:
        if casts:
            args = tuple(cast(argument) for argument in args)
            kwargs = {name: cast(argument) for name, argument in kwargs.items()}
        around = get_autocast_scope()
        if computes_in == (around.dtype if around is not None else operation.variable_dtype):
            return call(*args, **kwargs)
        with AutocastScope(computes_in):
            return call(*args, **kwargs)

    return run


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
