"""The engine's layers against PyTorch's functions, and against the Keras layers they stand in for."""

import keras
import numpy as np
import pytest
import torch
from keras.ops import convert_to_numpy as to_numpy
from torch.nn import functional as F

from keras_dnnts.backend import BatchNormalization, Conv2D, MaxPooling2D
from tests.training_step import gradients_of_training_step

pytestmark = pytest.mark.every_engine

MAPS = np.random.default_rng(0).normal(0.3, 1.0, (5, 9, 7, 3)).astype("float32")
CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "strided and padded": {"kernel_size": 5, "strides": 2, "padding": 2},
    "padded by less than half": {"kernel_size": 5, "strides": 3, "padding": 1},
    "pointwise": {"kernel_size": 1},
    "pointwise and strided": {"kernel_size": 1, "strides": 2},
    "pointwise and padded": {"kernel_size": 1, "padding": 1},
    "in groups": {"kernel_size": 3, "groups": 3},
}


def randomise(layer):
    """Other values for every variable of a built layer; variances stay positive."""
    random = np.random.default_rng(1)
    for variable in layer.variables:
        values = np.array(variable) + random.normal(0.0, 0.3, variable.shape)
        variable.assign(np.abs(values) if variable.name == "moving_variance" else values)
    return layer


def assert_trains_as(layer, torch_function):
    """Compare loss and gradients of one training step, those of the layer's inputs through a dense layer before it.

    ``torch_function`` takes maps (N, C, H, W) and the layer's weights in Keras's layout.
    """
    inputs = keras.Input(MAPS.shape[1:])
    before = keras.layers.Dense(3)
    model = keras.Model(inputs, layer(before(inputs)))
    randomise(before)
    randomise(layer)
    targets = np.random.default_rng(2).normal(size=(len(MAPS), *model.output_shape[1:])).astype("float32")

    dense_kernel, dense_bias, *weights = (
        torch.tensor(np.array(variable), requires_grad=True) for variable in model.trainable_variables
    )
    maps = torch.from_numpy(MAPS) @ dense_kernel + dense_bias
    outputs = torch_function(maps.permute(0, 3, 1, 2), *weights).permute(0, 2, 3, 1)
    expected_loss = F.mse_loss(outputs, torch.from_numpy(targets))
    expected_loss.backward()

    loss, gradients = gradients_of_training_step(model, MAPS, targets, loss="mse")
    assert loss == pytest.approx(expected_loss.item(), rel=1e-5)
    expected = [weight.grad.numpy() for weight in (dense_kernel, dense_bias, *weights)]
    # What is 0 but for rounding (a bias in front of a normalisation) is small beside the others, whatever its digits.
    rounding = 1e-5 * max(np.abs(gradient).max() for gradient in expected)
    for gradient, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-3, atol=rounding)


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolution_trains_as_in_pytorch(options, activation):
    def convolve(maps, kernel, bias):
        stride, padding, groups = options.get("strides", 1), options.get("padding", 0), options.get("groups", 1)
        outputs = F.conv2d(maps, kernel.permute(3, 2, 0, 1), bias, stride, padding, groups=groups)
        return getattr(torch, activation)(outputs) if activation else outputs

    assert_trains_as(Conv2D(6, activation=activation, **options), convolve)


def test_max_pooling_trains_as_in_pytorch_where_maps_are_negative():
    assert_trains_as(MaxPooling2D(3, strides=2, padding=1), lambda maps: F.max_pool2d(maps, 3, 2, padding=1))


@pytest.mark.parametrize("activation", [None, "relu"])
def test_batch_normalization_trains_as_in_pytorch(activation):
    layer = BatchNormalization(activation)
    statistics = []

    def normalise(maps, gamma, beta):
        statistics[:] = torch.tensor(np.array(layer.moving_mean)), torch.tensor(np.array(layer.moving_variance))
        outputs = F.batch_norm(maps, *statistics, gamma, beta, training=True)
        return torch.relu(outputs) if activation else outputs

    assert_trains_as(layer, normalise)
    np.testing.assert_allclose(np.array(layer.moving_mean), statistics[0], rtol=1e-5)
    np.testing.assert_allclose(np.array(layer.moving_variance), statistics[1], rtol=1e-5)


STAND_INS = {
    "convolution": (Conv2D, keras.layers.Conv2D, {"filters": 6, "kernel_size": 3, "strides": 2, "activation": "relu"}),
    "pointwise convolution": (Conv2D, keras.layers.Conv2D, {"filters": 6, "kernel_size": 1, "strides": 2}),
    "max pooling": (MaxPooling2D, keras.layers.MaxPooling2D, {"pool_size": 3, "strides": 2}),
    "batch normalization": (BatchNormalization, keras.layers.BatchNormalization, {"momentum": 0.8, "epsilon": 0.01}),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("ours", "stock", "options"), STAND_INS.values(), ids=STAND_INS.keys())
def test_equals_the_keras_layer(ours, stock, options, training):
    layers = ours(**options), stock(**options)
    for layer in layers:
        layer.build(MAPS.shape)
    layers[1].set_weights(randomise(layers[0]).get_weights())
    outputs, expected = (keras.Sequential([layer])(MAPS, training=training) for layer in layers)
    assert outputs.shape == layers[0].compute_output_shape(MAPS.shape)
    np.testing.assert_allclose(to_numpy(outputs), to_numpy(expected), rtol=1e-5, atol=1e-5)


def test_frozen_batch_normalization_keeps_its_statistics():
    layer = BatchNormalization()
    layer.build(MAPS.shape)
    before = randomise(layer).get_weights()
    expected = to_numpy(layer(MAPS, training=False))
    layer.trainable = False
    np.testing.assert_allclose(to_numpy(layer(MAPS, training=True)), expected)
    for now, then in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(6, 3, strides=2, padding=1, activation="relu"),
        Conv2D(6, 1),
        BatchNormalization("relu"),
        MaxPooling2D(3, strides=2, padding=1),
    ],
)
def test_bfloat16_and_configuration(layer):
    copy = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    for each in (layer, copy):
        each.build(MAPS.shape)
    copy.set_weights(randomise(layer).get_weights())
    outputs, expected = copy(MAPS), layer(MAPS)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert all(weight.dtype == "float32" for weight in copy.weights)
    outputs = to_numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(outputs, to_numpy(expected), rtol=0.05, atol=0.05)
