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
    how = _of_single if single and _has_one_dtype(model, nodes) else _in_own_precision
    how = _as_it_is if _has_masks(model, nodes) else how
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
        masks = mask if isinstance(mask, list | tuple) else [mask]
        if training is None or any(one is not None for one in masks) or get_device() == "meta":
            return super().call(inputs, training=training, mask=mask)  # on "meta", Keras finds out shapes
        graphs = self.__dict__.setdefault("_graphs", {})  # past Keras, which would look for layers there
        if training not in graphs:
            graphs[training] = resolve_graph(self, training)
        return graphs[training](*self._standardize_inputs(inputs))


def resolved(model: keras.Model) -> keras.Model:
    """A model of the same layers that computes the same with less around every layer, if this one is functional."""
    plain = type(model) is Functional and len(model.outputs) == 1
    return of_same_layers(Resolved, model) if plain else model


def of_same_layers(kind: type[keras.Model], model: keras.Model) -> keras.Model:
    """A model of another class, not compiled, with the layers, name and precision of a functional or sequential one."""
    # A list of one would have Keras warn that it gets a tensor.
    inputs, outputs = (tensors[0] if len(tensors) == 1 else tensors for tensors in (model.inputs, model.outputs))
    twin = kind(inputs, outputs, name=model.name)
    twin.dtype_policy = model.dtype_policy
    return twin


def _has_masks(model: keras.Model, nodes: list[Any]) -> bool:
    inner = model._flatten_layers(include_self=False)  # those of models within, too
    makes = any(isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in inner)
    return makes or any(get_keras_mask(tensor) is not None for node in nodes for tensor in node.outputs)


def _has_one_dtype(model: keras.Model, nodes: list[Any]) -> bool:
    if not all(isinstance(node.operation, keras.layers.Layer) for node in nodes):
        return False  # with arrays of float64, operations give other tensors than their symbolic ones say
    layers = model._flatten_layers(include_self=False)
    of_layers = {dtype for layer in layers for dtype in (layer.compute_dtype, layer.variable_dtype)}
    of_tensors = {tensor.dtype for node in nodes for tensor in node.outputs}
    return len(of_layers | set(filter(is_float_dtype, of_tensors))) == 1


def _resolve_node(node: Any, how: Callable[[Any], Callable], trains: bool) -> Callable[[Values], None]:
    """The computation of one node of the graph, which adds its outputs to the values."""
    operation, arguments = node.operation, node.arguments
    alone, is_layer = _stands_alone(operation), isinstance(operation, keras.layers.Layer)
    call = how(operation) if alone else operation
    # Stored arguments have the values of the time when the graph was built. Keras takes this one from layers that have
    # no use for it, and ``call`` does not.
    stored = {name: value for name, value in arguments.kwargs.items() if not (is_layer and name == "training")}
    takes_switch = operation._call_has_training_arg if is_layer and call is not operation else is_layer
    switch = {"training": trains} if takes_switch else {}
    inputs, outputs = ([id(tensor) for tensor in tensors] for tensors in (arguments.keras_tensors, node.outputs))
    # Unless tensors, or a list of them, are all that stands there, Keras has to walk through them anew in every call.
    flat = inputs == [id(argument) for argument in arguments.args]
    listed = not flat and len(arguments.args) == 1 and _are_listed(arguments.args[0], inputs)
    constant = {**stored, **switch}

    def run(values: Values) -> None:
        if flat:
            result = call(*[values[key] for key in inputs], **constant)
        elif listed:
            result = call([values[key] for key in inputs], **constant)
        else:
            args, kwargs = arguments.fill_in(values)
            result = call(*args, **{name: kwargs[name] for name in stored}, **switch)
        if isinstance(result, torch.Tensor):
            values[outputs[0]] = result
        else:
            values.update(zip(outputs, tree.flatten(result), strict=False))

    return run


def _stands_alone(operation: Any) -> bool:
    """Whether ``call`` is all that an operation computes, if its inputs are as it takes them."""
    if operation._remat_mode or getattr(operation, "quantization_mode", None):
        return False
    if not isinstance(operation, keras.layers.Layer):
        return True
    hooked = operation._forward_hooks or operation._forward_pre_hooks
    changed = type(operation).__call__ is not keras.layers.Layer.__call__
    informed = operation._call_context_args != {"training"}
    # Layers within a layer are called by it, and find what surrounds their call in its own.
    return not (hooked or changed or informed or operation._layers or operation.activity_regularizer)


def _are_listed(argument: Any, tensors: list[int]) -> bool:
    return isinstance(argument, list) and tensors == [id(one) for one in argument]


def _as_it_is(operation: Any) -> Callable[..., Any]:
    return operation


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
        if tree.is_nested(argument):
            return tree.map_structure(cast, argument)
        return operation.dtype_policy.convert_input(argument, autocast, operation.input_dtype)

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
