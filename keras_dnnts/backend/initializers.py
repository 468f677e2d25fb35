"""Initial weights that are the same on every engine."""

import itertools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts.random_streams import Purpose, random_stream


@keras.saving.register_keras_serializable("keras_dnnts")
class SeededUniform(keras.initializers.Initializer):
    """U(-bound, bound) drawn by NumPy, so that one seed means one set of weights on torch, JAX and TensorFlow.

    Args:
        bound: half the width of the interval.
        seed: the run's seed and the number of the array, e.g. ``(0, 3)`` for the fourth array of seed 0.
    """

    def __init__(self, bound: float, seed: tuple[int, ...]) -> None:
        self.bound, self.seed = bound, tuple(seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        """Return the weights, of ``shape``."""
        values = _stream(self.seed).uniform(-self.bound, self.bound, shape)
        return ops.convert_to_tensor(values.astype("float32"), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"bound": self.bound, "seed": list(self.seed)}


@keras.saving.register_keras_serializable("keras_dnnts")
class SeededNormal(keras.initializers.Initializer):
    """N(0, deviation**2) drawn by NumPy, as :class:`SeededUniform` draws.

    Args:
        deviation: standard deviation.
        seed: as for :class:`SeededUniform`.
    """

    def __init__(self, deviation: float, seed: tuple[int, ...]) -> None:
        self.deviation, self.seed = deviation, tuple(seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        """Return the weights, of ``shape``."""
        values = _stream(self.seed).standard_normal(shape, "float32")
        return ops.convert_to_tensor(values * np.float32(self.deviation), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"deviation": self.deviation, "seed": list(self.seed)}


@keras.saving.register_keras_serializable("keras_dnnts")
class SeededIdentity(SeededUniform):
    """As :class:`SeededUniform`, but that the first filters of a convolution hand their input channels on unchanged.

    Of a kernel (h, w, inputs, filters) with odd h and w, filter i is 1 at its centre for input channel i and 0
    elsewhere, for every i below both numbers: the convolution starts as the identity where it can
    (https://arxiv.org/abs/1706.00388).
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        """Return the kernel, of ``shape``."""
        height, width, inputs, filters = shape
        values = _stream(self.seed).uniform(-self.bound, self.bound, shape).astype("float32")
        same = np.arange(min(inputs, filters))
        values[..., same] = 0
        values[height // 2, width // 2, same, same] = 1
        return ops.convert_to_tensor(values, dtype=dtype)


@keras.saving.register_keras_serializable("keras_dnnts")
class SeededUnitDeviation(SeededUniform):
    """As :class:`SeededUniform`, divided by the standard deviation of what was drawn; ``bound`` has no effect."""

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        """Return the weights, of ``shape``."""
        values = _stream(self.seed).uniform(-self.bound, self.bound, shape)
        return ops.convert_to_tensor((values / values.std(ddof=1)).astype("float32"), dtype=dtype)


class InitialWeights:
    """Initializers of one model's arrays, a stream of the seed for each in the order in which they are asked for.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed, self._arrays = seed, itertools.count()

    def torch_default(self, fan_in: int) -> SeededUniform:
        """Draw as PyTorch does by default for kernel and bias of a dense or a convolution layer.

        PyTorch calls it ``kaiming_uniform_(a=sqrt(5))``. ``fan_in`` is the number of inputs of one output value.
        """
        return SeededUniform(1 / math.sqrt(fan_in), self._next())

    def identity(self, fan_in: int) -> SeededIdentity:
        """Draw as :meth:`torch_default`, and let the first filters of a convolution be the identity."""
        return SeededIdentity(1 / math.sqrt(fan_in), self._next())

    def unit_deviation(self) -> SeededUnitDeviation:
        """Draw from a uniform distribution about 0 and scale to a standard deviation of 1."""
        return SeededUnitDeviation(1.0, self._next())

    def kaiming_normal(self, fan_out: int) -> SeededNormal:
        """Draw as torchvision does for convolutions before a ReLU (https://arxiv.org/abs/1502.01852), by ``fan_out``.

        ``fan_out`` is the number of outputs that one input value has a part in.
        """
        return SeededNormal(math.sqrt(2 / fan_out), self._next())

    def normal(self, deviation: float) -> SeededNormal:
        """Draw from N(0, deviation**2)."""
        return SeededNormal(deviation, self._next())

    def seed_layer(self) -> tuple[int, int]:
        """The seed of a layer that makes initializers of its own; it adds the numbers of its arrays."""
        return self._next()

    def _next(self) -> tuple[int, int]:
        return self._seed, next(self._arrays)


def _stream(seed: tuple[int, ...]) -> np.random.Generator:
    return random_stream(seed[0], Purpose.WEIGHTS, *seed[1:])
