import random

import keras
import numpy as np
import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES, PENULTIMATE
from keras_dnnts.studies.cifar.models import build_resnet50

pytestmark = pytest.mark.every_engine


def test_number_of_trainable_parameters():
    model = build_resnet50(64)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == 23_528_522


def test_refuses_images_that_leave_one_pixel():
    with pytest.raises(UserError, match=r"32.*33"):
        build_resnet50(32, width=0.05)


@pytest.mark.parametrize("image_size", [33, 64])
def test_images_matter_in_training_at_batch_one(image_size):
    model = build_resnet50(image_size, width=0.125)
    assert min(model.get_layer("stage4_block3").output.shape[1:3]) > 1
    one, other = np.random.default_rng(0).normal(size=(2, 1, image_size, image_size, 3)).astype("float32")
    logits = [keras.ops.convert_to_numpy(model(images, training=True)) for images in (one, other)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-2


def test_taps_are_the_convolutions_and_the_penultimate_features():
    model = build_resnet50(224, width=0.125)
    shapes = [model.get_layer(tap).output.shape[1:] for tap in ARCHITECTURES["resnet50"].taps]
    assert shapes == [(56, 56, 8), (56, 56, 16), (28, 28, 32)]
    assert model.get_layer(PENULTIMATE).output.shape == (None, 256)
    assert model.get_layer("logits").input is model.get_layer(PENULTIMATE).output


def test_initial_weights_are_torchvisions():
    random.seed(0)
    model = build_resnet50(33, width=0.5)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 53
    for layer in convolutions:
        rows, columns, _, filters = layer.kernel.shape
        assert layer.bias is None
        assert np.array(layer.kernel).std() == pytest.approx(np.sqrt(2 / (rows * columns * filters)), rel=0.06)
    head = model.get_layer("logits")
    bound = 1 / np.sqrt(head.kernel.shape[0])
    assert np.array(head.kernel).std() == pytest.approx(bound / np.sqrt(3), rel=0.03)
    assert 0 < np.abs(np.array(head.bias)).max() <= bound * (1 + 1e-6)


def test_bfloat16_keeps_weights_and_logits_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_resnet50(40, width=0.05)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("stage4_block3_conv3_bn").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
