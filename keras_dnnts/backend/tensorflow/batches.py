"""Batches whose shapes change from epoch to epoch, as TensorFlow's ``fit`` takes them."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from keras_dnnts.backend.tensorflow.distribution import count_devices


def batches_of_any_size(batches: Any) -> Any:
    """A ``PyDataset`` as a data set that promises no size but that of the last axis.

    Of a ``PyDataset``, Keras takes the shapes of the first two batches for those of all epochs. Where several devices
    share batches, it takes them as they come.
    """
    if count_devices() > 1:
        return batches

    def generate() -> Iterator[Any]:
        for number in range(len(batches)):
            yield batches[number]

    signature = tuple(
        tf.TensorSpec([None, *[None] * (len(part.shape) - 2), *part.shape[1:][-1:]], part.dtype) for part in batches[0]
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
