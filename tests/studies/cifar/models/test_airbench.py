"""The small network: its shapes, its first layer against principal components, its weights at the start."""

import keras
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES, PENULTIMATE
from keras_dnnts.studies.cifar.models import build_airbench
from keras_dnnts.studies.cifar.models.airbench import VARIANCE_FLOOR, whiten_patches

pytestmark = pytest.mark.every_engine


def random_images(count, size, seed=0):
    """Smooth colours, so that neighbouring pixels are alike, and channels of different means and variances."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, size, size, 3)).cumsum(axis=1).cumsum(axis=2) * [0.02, 0.05, 0.03]
    return np.clip(images + np.array([0.1, -0.2, 0.3]), -1, 1).astype("float32")


def test_sizes():
    assert build_airbench().count_params() == 1_974_584
    model = build_airbench(17, classes=3, width=0.1)
    assert model(np.zeros((2, 17, 17, 3), "float32")).shape == (2, 3)
    assert model(np.zeros((1, 40, 33, 3), "float32")).shape == (1, 3)
    assert model.get_layer("logits").input is model.get_layer(PENULTIMATE).output
    assert set(ARCHITECTURES["airbench"].taps) <= {layer.name for layer in model.layers}
    with pytest.raises(UserError, match=r"16.*17"):
        build_airbench(16)


def test_whitened_patches_are_uncorrelated():
    images = random_images(40, 12)
    model = build_airbench(17, width=0.1)
    whiten_patches(model, images)
    maps = keras.Model(model.inputs, model.get_layer("whiten").output).predict(images, verbose=0)
    bias = np.array(model.get_layer("whiten_bias").bias)
    outputs = (maps + bias).reshape(-1, 24).astype(np.float64)
    np.testing.assert_allclose(outputs[:, :12], -outputs[:, 12:], atol=1e-3)
    np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-3)
    # Patches one by one, and their principal components by a library of its own.
    patches = np.array([im[i : i + 2, j : j + 2].ravel() for im in images for i in range(11) for j in range(11)])
    variances = np.linalg.svd(patches - patches.mean(0), compute_uv=False)[::-1] ** 2 / len(patches)
    expected = np.diag(variances / (variances + VARIANCE_FLOOR))
    np.testing.assert_allclose(np.cov(outputs[:, :12].T, bias=True), expected, atol=5e-3)
    assert not model.get_layer("whiten").trainable_weights


def test_convolutions_begin_as_the_identity():
    model = build_airbench(17, width=0.25, seed=3)
    maps = random_images(2, 9, seed=1)
    wide = np.concatenate([maps] * 8, axis=-1)  # the 24 channels that block 1 takes
    first = model.get_layer("block1_conv1")
    outputs = np.array(keras.ops.convert_to_numpy(first(wide)))
    np.testing.assert_allclose(outputs, wide[..., :16], atol=1e-6)  # it has 16 filters, fewer than inputs
    second = np.array(model.get_layer("block2_conv1").kernel)  # 16 inputs, 48 filters
    bound = 1 / np.sqrt(9 * 16)
    assert np.abs(second[..., 16:]).max() <= bound and second[..., 16:].std() == pytest.approx(
        bound / np.sqrt(3), rel=0.05
    )
    assert np.array(model.get_layer("logits").kernel).std(ddof=1) == pytest.approx(1, rel=1e-5)


def plain_logits(model, images, training):
    """The network in plain PyTorch, as airbench94's paper has it, from the same weights."""

    def weight(layer, name):
        return torch.tensor(np.array(getattr(model.get_layer(layer), name)), dtype=torch.float64)

    def convolve(maps, layer, padding):
        return F.conv2d(maps, weight(layer, "kernel").permute(3, 2, 0, 1), padding=padding)

    def normalise(maps, layer):
        mean, variance = weight(layer, "moving_mean"), weight(layer, "moving_variance")
        return F.gelu(F.batch_norm(maps, mean, variance, None, weight(layer, "beta"), training, 0.0, 1e-5))

    maps = torch.tensor(images, dtype=torch.float64).permute(0, 3, 1, 2)
    maps = F.gelu(convolve(maps, "whiten", 0) + weight("whiten_bias", "bias")[:, None, None])
    for block in ("block1", "block2", "block3"):
        maps = normalise(F.max_pool2d(convolve(maps, f"{block}_conv1", 1), 2), f"{block}_bn1")
        maps = normalise(convolve(maps, f"{block}_conv2", 1), block)
    features = maps.amax((2, 3))
    return features @ weight("logits", "kernel") / features.shape[1]


@pytest.mark.parametrize("training", [False, True])
def test_logits_are_those_of_plain_pytorch(training):
    model = build_airbench(24, classes=5, width=0.2, seed=2)
    whiten_patches(model, random_images(20, 12, seed=4))
    rng = np.random.default_rng(6)
    for layer in model.layers:
        if layer.name.endswith("bn1") or layer.name in ("block1", "block2", "block3"):
            for name, values in (("beta", rng.normal), ("moving_mean", rng.normal), ("moving_variance", rng.uniform)):
                variable = getattr(layer, name)
                variable.assign(values(0.1, 0.9, variable.shape))
    images = random_images(6, 24, seed=5)
    expected = plain_logits(model, images, training)
    logits = keras.ops.convert_to_numpy(model(images, training=training))
    np.testing.assert_allclose(logits, expected, atol=2e-5 * float(expected.abs().max()) + 1e-6)


def test_it_comes_back_from_a_file(tmp_path):
    model = build_airbench(24, classes=5, width=0.1)
    model.save(tmp_path / "model.keras")
    images = random_images(3, 24)
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))
