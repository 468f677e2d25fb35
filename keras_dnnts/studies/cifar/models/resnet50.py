"""ResNet50 as torchvision builds it."""

from typing import Any

import keras

from keras_dnnts.backend import BatchNormalization, Conv2D, MaxPooling2D
from keras_dnnts.backend.initializers import InitialWeights
from keras_dnnts.errors import UserError

MINIMUM_IMAGE_SIZE = 33
BLOCKS_OF_STAGES = (3, 4, 6, 3)


def build_resnet50(image_size: int = 224, classes: int = 10, width: float = 1.0, seed: int = 0) -> keras.Model:
    """Build ResNet50 (https://arxiv.org/abs/1512.03385) in its version 1.5: a 3x3 convolution takes a block's stride.

    Layers to tap: ``stem``, ``stage1_block1_conv1`` … ``stage4_block3_conv3`` (before their normalisation),
    ``stage1_block1`` … (a block's output), ``pre_logits`` (N, 2048). Initial weights are torchvision's.

    Args:
        image_size: height and width of the images, at least 33: below, the last maps have one pixel, and in training
            one image's normalised map says nothing about the image.
        classes: number of logits.
        width: factor on every layer's number of channels.
        seed: seed of the initial weights; the same weights on every engine.

    Returns:
        A functional model from normalised images (N, image_size, image_size, 3) float32 to logits (N, classes) float32.

    Raises:
        UserError: for smaller images.

    >>> from keras_dnnts import build_resnet50
    >>> build_resnet50(image_size=64, classes=3, width=0.1).output_shape
    (None, 3)
    """
    if image_size < MINIMUM_IMAGE_SIZE:
        raise UserError(f"image size {image_size} is too small for ResNet50: use at least {MINIMUM_IMAGE_SIZE}")
    channels = [max(1, round(width * n)) for n in (64, 128, 256, 512)]
    weights = InitialWeights(seed)
    images = keras.Input((image_size, image_size, 3), name="images")
    maps = _convolve(weights, images, channels[0], kernel_size=7, strides=2, activation="relu", name="stem")
    maps = MaxPooling2D(3, strides=2, padding=1, name="stem_pool")(maps)
    for stage, blocks in enumerate(BLOCKS_OF_STAGES, start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            maps = _bottleneck(weights, maps, channels[stage - 1], strides, name=f"stage{stage}_block{block}")
    features = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pre_logits")(maps)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=weights.torch_default(features.shape[-1]),
        bias_initializer=weights.torch_default(features.shape[-1]),
        dtype="float32",
        name="logits",
    )(features)
    return keras.Model(images, logits, name="resnet50")


def _bottleneck(weights: InitialWeights, inputs: Any, channels: int, strides: int, name: str) -> Any:
    maps = _convolve(weights, inputs, channels, kernel_size=1, activation="relu", name=f"{name}_conv1")
    maps = _convolve(weights, maps, channels, kernel_size=3, strides=strides, activation="relu", name=f"{name}_conv2")
    maps = _convolve(weights, maps, 4 * channels, kernel_size=1, name=f"{name}_conv3")
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != 4 * channels:
        shortcut = _convolve(weights, inputs, 4 * channels, kernel_size=1, strides=strides, name=f"{name}_shortcut")
    maps = keras.layers.Add(name=f"{name}_add")([maps, shortcut])
    return keras.layers.ReLU(name=name)(maps)


def _convolve(
    weights: InitialWeights,
    maps: Any,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    activation: str | None = None,
    *,
    name: str,
) -> Any:
    maps = Conv2D(
        filters,
        kernel_size,
        strides,
        padding=kernel_size // 2,
        use_bias=False,
        kernel_initializer=weights.kaiming_normal(kernel_size**2 * filters),
        name=name,
    )(maps)
    return BatchNormalization(activation, name=f"{name}_bn")(maps)
