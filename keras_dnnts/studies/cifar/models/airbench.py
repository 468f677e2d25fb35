"""A small network that learns CIFAR-10 in minutes on a laptop: a few wide blocks behind patches that are whitened."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts.backend import BatchNormalization, Conv2D, MaxPooling2D
from keras_dnnts.backend.initializers import InitialWeights
from keras_dnnts.errors import UserError

MINIMUM_IMAGE_SIZE = 17
CHANNELS_OF_BLOCKS = (64, 192, 320)
PATCH_SIZE = 2
WHITENED = "whiten"
BATCH_NORM_MOMENTUM = 0.6
VARIANCE_FLOOR = 1e-3  # of a patch's principal component, with pixels from -1 to 1


def build_airbench(image_size: int = 32, classes: int = 10, width: float = 1.0, seed: int = 0) -> keras.Model:
    """Build the network of airbench94 (https://arxiv.org/abs/2404.00498, 2024) with other numbers of channels.

    A fixed convolution whitens patches of 2x2 pixels (:func:`whiten_patches` sets it from training images); three
    blocks of two 3x3 convolutions follow, which begin as the identity where they can, with a pooling after the first;
    then the maximum of every channel and a linear layer.

    Layers to tap: ``block1_conv1``, ``block1_conv2``, … (before pooling and normalisation), ``block1`` … (a block's
    output), ``pre_logits`` (N, channels).

    Args:
        image_size: height and width of the images the network is meant for, at least 17; it takes images of any size
            from there on.
        classes: number of logits.
        width: factor on every block's number of channels.
        seed: seed of the initial weights; the same weights on every engine.

    Returns:
        A functional model from normalised images (N, H, W, 3) float32 to logits (N, classes) float32.

    Raises:
        UserError: for smaller images.

    >>> from keras_dnnts import build_airbench
    >>> f"{build_airbench().count_params():,}"
    '1,974,584'
    """
    if image_size < MINIMUM_IMAGE_SIZE:
        raise UserError(f"image size {image_size} is too small for airbench: use at least {MINIMUM_IMAGE_SIZE}")
    weights = InitialWeights(seed)
    images = keras.Input((None, None, 3), name="images")
    patches = 2 * 3 * PATCH_SIZE**2
    maps = Conv2D(patches, PATCH_SIZE, use_bias=False, trainable=False, name=WHITENED)(images)
    maps = ChannelBias("gelu", name=f"{WHITENED}_bias")(maps)
    for number, channels in enumerate(CHANNELS_OF_BLOCKS, start=1):
        maps = _block(weights, maps, max(1, round(width * channels)), f"block{number}")
    # Dividing here rather than after the linear layer is the same, and lets its outputs be the network's.
    features = ChannelMaximum(1 / maps.shape[-1], name="pre_logits")(maps)
    head = keras.layers.Dense(
        classes, use_bias=False, kernel_initializer=weights.unit_deviation(), dtype="float32", name="logits"
    )
    return keras.Model(images, head(features), name="airbench")


def _block(weights: InitialWeights, maps: Any, channels: int, name: str) -> Any:
    maps = MaxPooling2D(2, strides=2, name=f"{name}_pool")(_convolve(weights, maps, channels, f"{name}_conv1"))
    maps = _normalise(maps, f"{name}_bn1")
    return _normalise(_convolve(weights, maps, channels, f"{name}_conv2"), name)


def _convolve(weights: InitialWeights, maps: Any, channels: int, name: str) -> Any:
    initializer = weights.identity(fan_in=9 * maps.shape[-1])
    return Conv2D(channels, 3, padding=1, use_bias=False, kernel_initializer=initializer, name=name)(maps)


def _normalise(maps: Any, name: str) -> Any:
    return BatchNormalization("gelu", momentum=BATCH_NORM_MOMENTUM, scale=False, name=name)(maps)


@keras.saving.register_keras_serializable("keras_dnnts")
class ChannelBias(keras.layers.Layer):
    """A bias for every channel of (N, H, W, C) maps, from 0, then an activation.

    Args:
        activation: by Keras's name; None for none.
    """

    def __init__(self, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the biases."""
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """Return maps of the same shape."""
        return self.activation(inputs + self.bias)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


@keras.saving.register_keras_serializable("keras_dnnts")
class ChannelMaximum(keras.layers.Layer):
    """The maximum of every channel of (N, H, W, C) maps, times a factor: (N, C).

    Args:
        factor: a positive number.
    """

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Return the maxima."""
        return ops.max(inputs, axis=(1, 2)) * self.factor

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the maxima."""
        return input_shape[0], input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}


def whiten_patches(model: keras.Model, images: np.ndarray) -> None:
    """Set the network's first layer from training images, so that its outputs are uncorrelated and of variance 1.

    Half of the filters are the principal components of 2x2 patches, each over the root of its variance plus
    ``VARIANCE_FLOOR``; the other half are their negatives. The biases that follow take the mean patch away.

    Args:
        model: of :func:`build_airbench`.
        images: (N, H, W, 3) float32 in [-1, 1], as the model takes them.
    """
    filters, means = compute_whitening(images)
    model.get_layer(WHITENED).kernel.assign(np.concatenate([filters, -filters], axis=-1))
    model.get_layer(f"{WHITENED}_bias").bias.assign(np.concatenate([-means, means]))


def compute_whitening(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Filters (2, 2, 3, 12) float32 that whiten patches of (N, H, W, 3) images, and each one's mean output (12,)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH_SIZE, PATCH_SIZE), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 3 * PATCH_SIZE**2).astype(np.float64)
    mean = patches.mean(axis=0)
    centred = patches - mean
    variances, components = np.linalg.eigh(centred.T @ centred / len(centred))
    # An eigenvector's sign is the library's choice: make its largest entry positive.
    largest = np.abs(components).argmax(axis=0)
    components = components * np.sign(components[largest, np.arange(len(largest))])
    filters = components / np.sqrt(np.maximum(variances, 0) + VARIANCE_FLOOR)
    shaped = filters.reshape(PATCH_SIZE, PATCH_SIZE, 3, -1)
    return shaped.astype(np.float32), (mean @ filters).astype(np.float32)
