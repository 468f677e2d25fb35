"""Layers over sequences of which each has its own length."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_dnnts")
class MaxOverTime(keras.layers.Layer):
    """The largest output of each unit within each sequence: padding after it cannot matter.

    Call arguments:
        outputs: (batch, time, units) float.
        lengths: (batch,) int, each from 1 to time.

    Returns:
        (batch, units).
    """

    def call(self, outputs: Any, lengths: Any) -> Any:
        """Return the maxima."""
        within = ops.arange(ops.shape(outputs)[1], dtype="int32") < ops.cast(lengths, "int32")[:, None]
        return ops.max(ops.where(within[:, :, None], outputs, float("-inf")), axis=1)

    def compute_output_shape(
        self, outputs_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """(batch, units)."""
        return outputs_shape[0], outputs_shape[2]


@keras.saving.register_keras_serializable("keras_dnnts")
class Backwards(keras.layers.Layer):
    """Every sequence from its own last step to its first; whatever follows then is padding.

    Call arguments:
        inputs: (batch, time, width).
        lengths: (batch,) int, each from 1 to time.

    Returns:
        (batch, time, width).
    """

    def call(self, inputs: Any, lengths: Any) -> Any:
        """Return the sequences."""
        steps = ops.arange(ops.shape(inputs)[1], dtype="int32")
        places = ops.maximum(ops.cast(lengths, "int32")[:, None] - 1 - steps, 0)
        return ops.take_along_axis(inputs, places[:, :, None], axis=1)

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """(batch, time, width)."""
        return inputs_shape
