"""Softmax regression on pixels: what every network must beat."""

import keras

from keras_dnnts.backend.initializers import InitialWeights


def build_linear(image_size: int = 32, classes: int = 10, width: float = 1.0, seed: int = 0) -> keras.Model:
    """Build multinomial logistic regression: every logit is a weighted sum of the pixels.

    Args:
        image_size: height and width of the images.
        classes: number of logits.
        width: without effect, as there is no hidden layer.
        seed: seed of the initial weights; the same weights on every engine.

    Returns:
        A functional model from normalised images (N, image_size, image_size, 3) float32 to logits (N, classes) float32.

    >>> from keras_dnnts.studies.cifar.models.linear import build_linear
    >>> build_linear(image_size=32, classes=10).count_params()
    30730
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    pixels = keras.layers.Flatten(data_format="channels_last", name="flatten")(images)
    initial = InitialWeights(seed).torch_default(3 * image_size**2)
    logits = keras.layers.Dense(
        classes, kernel_initializer=initial, bias_initializer="zeros", dtype="float32", name="logits"
    )(pixels)
    return keras.Model(images, logits, name="linear")
