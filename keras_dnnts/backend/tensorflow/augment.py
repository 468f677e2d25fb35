"""Reading and resizing images on TensorFlow: :mod:`keras_dnnts.backend.augment`, compiled."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_dnnts.backend import augment

read_cubic = tf.function(augment.read_cubic, jit_compile=True)
resize = tf.function(augment.resize, jit_compile=True)
enlarge = tf.function(augment.enlarge, jit_compile=True)


def beside(images: Any, array: np.ndarray) -> tf.Tensor:
    """A small array as a tensor where the images are."""
    return tf.convert_to_tensor(array)
