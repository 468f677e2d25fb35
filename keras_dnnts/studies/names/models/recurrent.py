"""A recurrent layer with PyTorch's semantics on every engine."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_dnnts import backend
from keras_dnnts.backend.cells import CELLS
from keras_dnnts.backend.initializers import SeededUniform


@keras.saving.register_keras_serializable("keras_dnnts")
class Recurrent(keras.layers.Layer):
    """One recurrent layer as ``torch.nn.RNN``, ``GRU`` or ``LSTM`` computes it, from a zero initial state.

    Keras's own layers differ: one bias for RNN and LSTM, other gate orders, other initial weights. Weights are kept in
    PyTorch's shapes and gate order: ``input_kernel`` (gates * units, width), ``recurrent_kernel`` (gates * units,
    units), ``input_bias`` and ``recurrent_bias`` (gates * units,), all drawn from U(-1/sqrt(units), 1/sqrt(units)).

    Args:
        cell: ``"rnn"`` (tanh), ``"gru"`` or ``"lstm"``.
        units: size of the state.
        seed: seed of the initial weights, the same on every engine, or numbers that begin with it.

    Call arguments:
        inputs: (batch, time, width) float.

    Returns:
        (batch, time, units) float: the state after every time step.

    Raises:
        ValueError: for an unknown cell.
    """

    def __init__(self, cell: str, units: int, seed: int | Sequence[int] = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}: use one of {', '.join(CELLS)}")
        self.cell, self.units, self.seed = cell, units, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the four weights for inputs of ``input_shape`` (batch, time, width)."""
        rows = CELLS[self.cell].gates * self.units
        self.input_kernel = self._add_uniform("input_kernel", (rows, input_shape[-1]), 0)
        self.recurrent_kernel = self._add_uniform("recurrent_kernel", (rows, self.units), 1)
        self.input_bias = self._add_uniform("input_bias", (rows,), 2)
        self.recurrent_bias = self._add_uniform("recurrent_bias", (rows,), 3)

    def _add_uniform(self, name: str, shape: tuple[int | None, ...], stream: int) -> Any:
        seed = (self.seed,) if isinstance(self.seed, int) else self.seed
        initializer = SeededUniform(1 / math.sqrt(self.units), (*seed, stream))
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(self, inputs: Any) -> Any:
        """Return the state after every time step."""
        weights = (self.input_kernel, self.recurrent_kernel, self.input_bias, self.recurrent_bias)
        return backend.recurrent_outputs(self.cell, inputs, [weight.value for weight in weights])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, time, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "cell": self.cell, "units": self.units, "seed": self.seed}


@keras.saving.register_keras_serializable("keras_dnnts")
class LastOutput(keras.layers.Layer):
    """Pick each sequence's output at its own last step: padding after it cannot matter.

    Call arguments:
        outputs: (batch, time, units).
        lengths: (batch,) int, each from 1 to time.

    Returns:
        (batch, units).
    """

    def call(self, outputs: Any, lengths: Any) -> Any:
        """Return ``outputs[i, lengths[i] - 1]`` for every sequence i."""
        return backend.pick(outputs, lengths - 1)

    def compute_output_shape(
        self, outputs_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """(batch, units)."""
        return (outputs_shape[0], *outputs_shape[2:])
