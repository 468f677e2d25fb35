"""Reading and resizing images on JAX: :mod:`keras_dnnts.backend.augment`, compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keras_dnnts.backend import augment

read_cubic = jax.jit(augment.read_cubic)
resize = jax.jit(augment.resize)
enlarge = jax.jit(augment.enlarge)


def beside(images: Any, array: np.ndarray) -> jax.Array:
    """A small array as a tensor where the images are."""
    return jnp.asarray(array)
