"""The character-level classifier of the names experiment."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts import backend
from keras_dnnts.backend.cells import CELLS
from keras_dnnts.backend.initializers import SeededUniform
from keras_dnnts.studies.names.models.per_example import PerExampleModel
from keras_dnnts.studies.names.models.recurrent import LastOutput, Recurrent

ENGINES = ("auto", "fused", "generic")
RECURRENT, HEAD = "recurrent", "head"


@keras.saving.register_keras_serializable("keras_dnnts")
class OneHot(keras.layers.Layer):
    """Letter indices (batch, time) int to one-hot rows (batch, time, width); an index outside width gives zeros."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def call(self, letters: Any) -> Any:
        """Return the one-hot rows."""
        return ops.cast(letters[..., None] == ops.arange(self.width), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, time, width)."""
        return (*input_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "width": self.width}


def build_char_rnn(
    cell: str, width: int = 58, classes: int = 18, hidden_units: int = 128, seed: int = 0
) -> PerExampleModel:
    """Build one-hot letters → one recurrent layer → dense layer on the last output → log-softmax.

    Initial weights are PyTorch's: every array from U(-1/sqrt(hidden_units), 1/sqrt(hidden_units)).

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        width: size of the one-hot vectors (the reference: 57 letters and a column that is never set).
        classes: number of classes.
        hidden_units: size of the recurrent state.
        seed: seed of the initial weights; the same weights on every engine.

    Returns:
        A functional model of inputs ``letters`` (batch, time) int32 and ``lengths`` (batch,) int32, each at least 1,
        to log-probabilities (batch, classes) float32. Letters after a sequence's length have no influence.

    Raises:
        ValueError: for an unknown cell.

    >>> from keras_dnnts import build_char_rnn
    >>> f"{build_char_rnn('gru').count_params():,}"
    '74,514'
    """
    letters = keras.Input((None,), dtype="int32", name="letters")
    lengths = keras.Input((), dtype="int32", name="lengths")
    states = Recurrent(cell, hidden_units, seed=seed, name=RECURRENT)(OneHot(width, name="one_hot")(letters))
    last = LastOutput(name="last_output")(states, lengths)
    bound = 1 / math.sqrt(hidden_units)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=SeededUniform(bound, (seed, 4)),
        bias_initializer=SeededUniform(bound, (seed, 5)),
        name=HEAD,
    )(last)
    log_probabilities = keras.layers.Activation("log_softmax", name="log_probabilities")(logits)
    return PerExampleModel(inputs=[letters, lengths], outputs=log_probabilities, name=f"char_{cell}")


@keras.saving.register_keras_serializable("keras_dnnts")
def negative_log_likelihood(labels: Any, log_probabilities: Any) -> Any:
    """Return (batch,) ``-log_probabilities[i, labels[i]]`` for labels (batch,) int."""
    return -backend.pick(log_probabilities, ops.cast(labels, "int32"))


def runs_fused(engine: str) -> bool:
    """Whether the fused kernel makes a model's updates, ``engine`` being as for :func:`compile_char_rnn`.

    Raises:
        ValueError: for an unknown engine, or ``"fused"`` where it cannot work.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}: use one of {', '.join(ENGINES)}")
    if engine == "fused" and not backend.runs_on_cpu():
        raise ValueError("the fused engine needs the CPU: use the generic engine")
    return engine != "generic" and backend.runs_on_cpu()


def compile_char_rnn(model: PerExampleModel, learning_rate: Any = 0.005, engine: str = "auto") -> str:
    """Compile a model of :func:`build_char_rnn` for per-example training and return the engine chosen.

    Args:
        model: the model.
        learning_rate: step size of ``weight -= learning_rate * gradient``, a number or a Keras schedule.
        engine: ``"fused"``, one compiled kernel on the CPU; ``"generic"``, automatic differentiation on any device;
            ``"auto"``, the fused kernel where the model is on the CPU.

    Raises:
        ValueError: for an unknown engine, or ``"fused"`` where it cannot work.

    >>> from keras_dnnts import build_char_rnn, compile_char_rnn
    >>> compile_char_rnn(build_char_rnn("lstm"), learning_rate=0.005, engine="generic")
    'generic'
    """
    layer = model.get_layer(RECURRENT)
    if not runs_fused(engine):
        return compile_per_example(model, learning_rate)
    # Imported here: Numba takes half a second, and not every run needs it.
    from keras_dnnts.backend.fused import update_each

    model.update_each_fused = functools.partial(update_each, layer.cell)
    model.compile(keras.optimizers.SGD(learning_rate), loss=negative_log_likelihood, **model.fused_options)
    return "fused"


def compile_kernel(model: PerExampleModel) -> None:
    """Compile the kernel of a model that :func:`compile_char_rnn` found fit for it, or find it compiled."""
    from keras_dnnts.backend.fused import build_kernel

    layer = model.get_layer(RECURRENT)
    build_kernel(CELLS[layer.cell].gates, layer.units)


def compile_per_example(model: PerExampleModel, learning_rate: Any = 0.005) -> str:
    """Compile any model of log-probabilities for per-example training by automatic differentiation.

    Returns:
        ``"generic"``, as :func:`compile_char_rnn` names it.
    """
    model.update_each_fused = None
    model.compile(keras.optimizers.SGD(learning_rate), loss=negative_log_likelihood)
    return "generic"


def load_torch_weights(
    model: keras.Model, recurrent_state: Mapping[str, Any], head_state: Mapping[str, Any]
) -> keras.Model:
    """Copy a PyTorch recurrent layer and linear layer into a model of :func:`build_char_rnn`.

    Args:
        model: the model, of the same cell and sizes.
        recurrent_state: ``state_dict()`` of a one-layer ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM`` (tensors or arrays).
        head_state: ``state_dict()`` of the ``nn.Linear`` behind it.

    Returns:
        The same model.

    Raises:
        ValueError: where names or shapes do not fit; the model then keeps its weights.

    >>> import torch
    >>> from keras_dnnts import build_char_rnn, load_torch_weights
    >>> gru, linear = torch.nn.GRU(58, 128, batch_first=True), torch.nn.Linear(128, 18)
    >>> model = load_torch_weights(build_char_rnn("gru"), gru.state_dict(), linear.state_dict())
    """
    recurrent, head = model.get_layer(RECURRENT), model.get_layer(HEAD)
    recurrent_names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    head_transposed = {name: np.asarray(value).T for name, value in head_state.items()}
    recurrent_arrays = _checked_arrays(recurrent, recurrent_state, recurrent_names)
    head_arrays = _checked_arrays(head, head_transposed, ["weight", "bias"])
    recurrent.set_weights(recurrent_arrays)
    head.set_weights(head_arrays)
    return model


def _checked_arrays(layer: keras.layers.Layer, state: Mapping[str, Any], names: list[str]) -> list[np.ndarray]:
    if sorted(state) != sorted(names):
        raise ValueError(f"layer {layer.name!r} takes the arrays {names}, got {sorted(state)}")
    arrays = [np.asarray(state[name]) for name in names]
    shapes, expected = [array.shape for array in arrays], [tuple(weight.shape) for weight in layer.weights]
    if shapes != expected:
        raise ValueError(f"layer {layer.name!r} has arrays of shapes {expected}, got {shapes}")
    return arrays
