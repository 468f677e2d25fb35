"""Batches as TensorFlow's ``fit``, ``evaluate`` and ``predict`` take them.

None of them is tuned while it runs: on a single core, what iterates over batches would wait at its end, for up to as
long as it took, until the tuner's thread notices (TensorFlow 2.21).
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from keras_dnnts.backend.tensorflow.distribution import count_devices


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set, whose threads TensorFlow does not tune."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


class UntunedBatches(PyDatasetAdapter):
    """The batches of a ``PyDataset`` as Keras makes them, but untuned."""

    def get_tf_dataset(self) -> tf.data.Dataset:
        """What is iterated over."""
        return untuned(super().get_tf_dataset())


def batches_of_one_size(batches: keras.utils.PyDataset) -> Any:
    """A ``PyDataset`` whose batches have the same shape in all epochs.

    Where several devices share batches, it is taken as it is.
    """
    return batches if count_devices() > 1 else UntunedBatches(batches)


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
    return untuned(dataset.apply(tf.data.experimental.assert_cardinality(len(batches))))
