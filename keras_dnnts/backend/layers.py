"""Convolution, batch normalisation and pooling as PyTorch defines them, over (N, H, W, C) maps, in ``keras.ops``.

JAX and TensorFlow run these as they are. :mod:`keras_dnnts.backend.torch.layers` replaces how they compute, not what:
names, configurations and weights are the same, so a model saved on one engine loads on another.
"""

import math
from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("keras_dnnts")
class Conv2D(keras.layers.Conv2D):
    """A convolution that pads ``padding`` zeros on every side, where Keras's "same" pads a strided one unevenly.

    Args:
        filters: number of output channels.
        kernel_size: side of the kernel, which is kept as (height, width, input channels, filters).
        strides: step of the kernel.
        padding: number of rows and columns of zeros added on every side.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, padding: int = 0, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides=strides, data_format="channels_last", **kwargs)
        self.border = padding

    def call(self, inputs: Any) -> Any:
        """Convolve (N, H, W, C) maps into (N, H', W', filters) ones."""
        return super().call(_pad(inputs, self.border, 0.0))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the maps that ``call`` returns."""
        return super().compute_output_shape(_pad_shape(input_shape, self.border))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["data_format"]
        return {**config, "padding": self.border}


@keras.saving.register_keras_serializable("keras_dnnts")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """The maximum of every window; padding never wins, as in PyTorch.

    Args:
        pool_size: side of the window.
        strides: step of the window.
        padding: number of rows and columns added on every side.
    """

    def __init__(self, pool_size: int, strides: int, padding: int = 0, **kwargs: Any) -> None:
        super().__init__(pool_size, strides=strides, data_format="channels_last", **kwargs)
        self.border = padding

    def call(self, inputs: Any) -> Any:
        """Reduce (N, H, W, C) maps to (N, H', W', C) ones."""
        return super().call(_pad(inputs, self.border, -math.inf))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the maps that ``call`` returns."""
        return super().compute_output_shape(_pad_shape(input_shape, self.border))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["data_format"]
        return {**config, "padding": self.border}


@keras.saving.register_keras_serializable("keras_dnnts")
class BatchNormalization(keras.layers.BatchNormalization):
    """Normalisation of every channel over batch and pixels (https://arxiv.org/abs/1502.03167), with PyTorch's numbers.

    The moving variance follows the unbiased variance of the batches, which Keras's layer does not. Always centres;
    masks and batch renormalisation are left out.

    Args:
        activation: applied to the normalised maps; the identity by default.
        scale: whether channels have a learned scale.
    """

    def __init__(
        self,
        activation: Any = None,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, scale=scale, **kwargs)
        self.activation = keras.activations.get(activation)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalise (N, H, W, C) maps: by their own statistics in training, else by the moving ones."""
        return self.activation(self._normalise(inputs, training=bool(training and self.trainable)))

    def _normalise(self, inputs: Any, training: bool) -> Any:
        if not training:
            return super().call(inputs, training=False)
        inputs = ops.cast(inputs, "float32")
        mean, variance, count = self._measure(inputs)
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * count / (count - 1))
        outputs = ops.batch_normalization(inputs, mean, variance, -1, self.beta, self.gamma, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)

    def _measure(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Mean (C,), biased variance (C,) and number of pixels of maps (N, H, W, C) float32."""
        mean, variance = ops.moments(inputs, axes=(0, 1, 2))
        return mean, variance, ops.cast(ops.size(inputs[..., 0]), "float32")

    def _follow(self, moving: keras.Variable, batch_statistic: Any) -> None:
        moving.assign(self.momentum * moving + (1 - self.momentum) * batch_statistic)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


def _pad(maps: Any, border: int, value: float) -> Any:
    if border == 0:
        return maps
    return ops.pad(maps, ((0, 0), (border, border), (border, border), (0, 0)), constant_values=value)


def _pad_shape(shape: Shape, border: int) -> Shape:
    batch, height, width, channels = shape
    return batch, height and height + 2 * border, width and width + 2 * border, channels
