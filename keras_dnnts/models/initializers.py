"""Initial weights that are the same on every engine."""

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("keras_dnnts")
class SeededUniform(keras.initializers.Initializer):
    """U(-bound, bound) drawn by NumPy, so that one seed means one set of weights on torch, JAX and TensorFlow.

    Args:
        bound: half the width of the interval.
        seed: ints that name the stream, e.g. ``(0, 3)`` for the fourth array of seed 0.
    """

    def __init__(self, bound: float, seed: tuple[int, ...]) -> None:
        self.bound, self.seed = bound, tuple(seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        """Return the weights, of ``shape``."""
        values = np.random.default_rng(self.seed).uniform(-self.bound, self.bound, shape)
        return ops.convert_to_tensor(values.astype("float32"), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"bound": self.bound, "seed": list(self.seed)}
