"""The layers of :mod:`keras_dnnts.backend.layers` where several devices share a batch."""

from typing import Any

import keras
import tensorflow as tf

from keras_dnnts.backend import layers
from keras_dnnts.backend.tensorflow.distribution import part_at_hand, sum_over_devices, takes_own_statistics


@keras.saving.register_keras_serializable("keras_dnnts")
class BatchNormalization(layers.BatchNormalization):
    """:class:`keras_dnnts.backend.layers.BatchNormalization` over the whole batch, unless devices are to be alone."""

    def _measure(self, inputs: tf.Tensor) -> tuple[Any, Any, Any]:
        part = part_at_hand()
        if part is None or takes_own_statistics():
            return super()._measure(inputs)
        # What a device computes for the sake of its shape counts for nothing.
        counts = tf.cast(part.count > 0, inputs.dtype)
        pixels = tf.cast(tf.size(inputs[..., 0]), inputs.dtype)
        # One after the other: a sum of squares would be less exact.
        count = sum_over_devices(counts * pixels)
        mean = sum_over_devices(counts * tf.reduce_sum(inputs, (0, 1, 2))) / count
        variance = sum_over_devices(counts * tf.reduce_sum(tf.square(inputs - mean), (0, 1, 2))) / count
        return mean, variance, count
