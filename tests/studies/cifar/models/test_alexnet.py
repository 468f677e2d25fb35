import random

import keras
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES, PENULTIMATE
from keras_dnnts.studies.cifar.models import build_alexnet
from keras_dnnts.studies.cifar.models.alexnet import AdaptiveAveragePooling2D

pytestmark = pytest.mark.every_engine


def test_number_of_parameters():
    assert build_alexnet().count_params() == 57_044_810


def test_smallest_images():
    assert build_alexnet(63, width=0.05).output_shape == (None, 10)
    with pytest.raises(UserError, match=r"62.*63"):
        build_alexnet(62, width=0.05)


def test_taps_are_the_convolutions_and_the_penultimate_features():
    model = build_alexnet(224, width=0.125)
    shapes = [model.get_layer(tap).output.shape[1:] for tap in ARCHITECTURES["alexnet"].taps]
    assert shapes == [(55, 55, 8), (27, 27, 24), (13, 13, 32)]
    assert model.get_layer(PENULTIMATE).output.shape == (None, 512)
    assert model.get_layer("logits").input is model.get_layer(PENULTIMATE).output


def test_initial_weights_are_pytorchs():
    random.seed(0)
    for layer in build_alexnet(63, width=0.25).layers:
        if layer.weights:
            bound = 1 / np.sqrt(np.prod(layer.kernel.shape[:-1]))
            kernel, bias = (np.array(weight) for weight in (layer.kernel, layer.bias))
            assert max(np.abs(kernel).max(), np.abs(bias).max()) <= bound * (1 + 1e-6)
            assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
            assert np.abs(bias).max() > 0.5 * bound


def test_bfloat16_keeps_weights_and_logits_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_alexnet(80, width=0.05)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("pre_logits").compute_dtype == model.get_layer("conv1").compute_dtype == "bfloat16"
    logits = model(np.ones((2, 80, 80, 3), "float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (6, 6), (7, 13), (12, 6)])
def test_adaptive_average_pooling_is_pytorchs(height, width):
    maps = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
    pooled = keras.ops.convert_to_numpy(AdaptiveAveragePooling2D(6)(maps))
    expected = F.adaptive_avg_pool2d(torch.from_numpy(maps.transpose(0, 3, 1, 2)), 6).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)
