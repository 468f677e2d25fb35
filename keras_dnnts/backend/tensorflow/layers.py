"""The layers of :mod:`keras_dnnts.backend.layers` where several devices share a batch."""

from typing import Any

import keras
import tensorflow as tf

from keras_dnnts.backend import layers
from keras_dnnts.backend.tensorflow.distribution import shares_batches, sum_over_devices, synchronises_statistics


@keras.saving.register_keras_serializable("keras_dnnts")
class BatchNormalization(layers.BatchNormalization):
    """:class:`keras_dnnts.backend.layers.BatchNormalization` over the whole batch, unless devices are to be alone."""

    def _measure(self, inputs: tf.Tensor) -> tuple[Any, Any, Any]:
        if not shares_batches():
            return super()._measure(inputs)
        if not synchronises_statistics():
            return self._keep_if_empty(inputs, *super()._measure(inputs))
        pixels = tf.cast(tf.size(inputs[..., 0]), inputs.dtype)
        # One after the other: a sum of squares would be less exact.
        count = sum_over_devices(pixels)
        mean = sum_over_devices(tf.reduce_sum(inputs, (0, 1, 2))) / count
        variance = sum_over_devices(tf.reduce_sum(tf.square(inputs - mean), (0, 1, 2))) / count
        return mean, variance, count

    def _keep_if_empty(self, inputs: tf.Tensor, mean: Any, variance: Any, count: Any) -> tuple[Any, Any, Any]:
        """Statistics, or those so far where a device has nothing of a batch: they would not be numbers."""
        empty = tf.size(inputs) == 0
        mean, variance = tf.where(empty, self.moving_mean, mean), tf.where(empty, self.moving_variance, variance)
        # So many that the variance is unbiased already.
        return mean, variance, tf.where(empty, count.dtype.max, count)
