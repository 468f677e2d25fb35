"""AlexNet as torchvision builds it."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts.backend import Conv2D, MaxPooling2D
from keras_dnnts.backend.initializers import InitialWeights
from keras_dnnts.errors import UserError

MINIMUM_IMAGE_SIZE = 63
POOLED_SIZE = 6


def build_alexnet(image_size: int = 224, classes: int = 10, width: float = 1.0, seed: int = 0) -> keras.Model:
    """Build the AlexNet of "One weird trick for parallelizing CNNs" (https://arxiv.org/abs/1404.5997), one column.

    Layers to tap: ``conv1`` … ``conv5`` (after their ReLU), ``pre_logits`` (N, 4096). Initial weights are PyTorch's.

    Args:
        image_size: height and width of the images; torchvision's strides need at least 63.
        classes: number of logits.
        width: factor on every layer's number of units.
        seed: seed of the initial weights; the same weights on every engine.

    Returns:
        A functional model from normalised images (N, image_size, image_size, 3) float32 to logits (N, classes) float32.

    Raises:
        UserError: for smaller images.

    >>> from keras_dnnts import build_alexnet
    >>> f"{build_alexnet().count_params():,}"
    '57,044,810'
    """
    if image_size < MINIMUM_IMAGE_SIZE:
        raise UserError(f"image size {image_size} is too small for AlexNet: use at least {MINIMUM_IMAGE_SIZE}")
    conv1, conv2, conv3, conv4, conv5, hidden = (max(1, round(width * n)) for n in (64, 192, 384, 256, 256, 4096))
    weights = InitialWeights(seed)
    images = keras.Input((image_size, image_size, 3), name="images")
    maps = _convolve(weights, images, conv1, kernel_size=11, strides=4, padding=2, name="conv1")
    maps = MaxPooling2D(3, strides=2, name="pool1")(maps)
    maps = _convolve(weights, maps, conv2, kernel_size=5, padding=2, name="conv2")
    maps = MaxPooling2D(3, strides=2, name="pool2")(maps)
    maps = _convolve(weights, maps, conv3, kernel_size=3, padding=1, name="conv3")
    maps = _convolve(weights, maps, conv4, kernel_size=3, padding=1, name="conv4")
    maps = _convolve(weights, maps, conv5, kernel_size=3, padding=1, name="conv5")
    maps = MaxPooling2D(3, strides=2, name="pool5")(maps)
    maps = AdaptiveAveragePooling2D(POOLED_SIZE, name="average_pool")(maps)
    features = keras.layers.Flatten(data_format="channels_last", name="flatten")(maps)
    features = keras.layers.Dropout(0.5, name="dropout6")(features)
    features = _connect(weights, features, hidden, activation="relu", name="fc6")
    features = keras.layers.Dropout(0.5, name="dropout7")(features)
    features = _connect(weights, features, hidden, activation="relu", name="pre_logits")
    logits = _connect(weights, features, classes, dtype="float32", name="logits")
    return keras.Model(images, logits, name="alexnet")


def _convolve(weights: InitialWeights, maps: Any, filters: int, kernel_size: int, **kwargs: Any) -> Any:
    fan_in = kernel_size**2 * maps.shape[-1]
    return Conv2D(
        filters,
        kernel_size,
        activation="relu",
        kernel_initializer=weights.torch_default(fan_in),
        bias_initializer=weights.torch_default(fan_in),
        **kwargs,
    )(maps)


def _connect(weights: InitialWeights, features: Any, units: int, **kwargs: Any) -> Any:
    fan_in = features.shape[-1]
    return keras.layers.Dense(
        units,
        kernel_initializer=weights.torch_default(fan_in),
        bias_initializer=weights.torch_default(fan_in),
        **kwargs,
    )(features)


@keras.saving.register_keras_serializable("keras_dnnts")
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Averages over ``size`` x ``size`` windows that cover a map of any size, overlapping where they must.

    As in PyTorch, window i of a side of n pixels reaches from floor(i n / size) to ceil((i + 1) n / size). Keras's
    layer of this name fails on TensorFlow where the map is smaller than ``size``.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Average (N, H, W, C) maps into (N, size, size, C) ones."""
        _, height, width, _ = inputs.shape
        if height == width == self.size:
            return inputs
        rows = ops.cast(averaging_matrix(height, self.size), inputs.dtype)
        columns = ops.cast(averaging_matrix(width, self.size), inputs.dtype)
        return ops.einsum("ih,nhwc,jw->nijc", rows, inputs, columns)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the maps that ``call`` returns."""
        return input_shape[0], self.size, self.size, input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}


def averaging_matrix(pixels: int, size: int) -> np.ndarray:
    """(size, pixels) float32 whose row i averages over window i."""
    matrix = np.zeros((size, pixels), "float32")
    for i in range(size):
        start, stop = i * pixels // size, math.ceil((i + 1) * pixels / size)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix
