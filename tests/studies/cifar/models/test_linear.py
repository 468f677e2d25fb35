"""Softmax regression against its formula."""

import numpy as np
import pytest
from keras import ops

from keras_dnnts.studies.cifar.models.linear import build_linear


@pytest.mark.every_engine
def test_logits_are_weighted_sums_of_the_pixels():
    model = build_linear(image_size=7, classes=4, seed=3)
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(147, 4)), rng.normal(size=4)
    model.set_weights([kernel, bias])
    images = rng.normal(size=(5, 7, 7, 3)).astype("float32")
    expected = np.einsum("nhwc,hwck->nk", images, kernel.reshape(7, 7, 3, 4)) + bias
    np.testing.assert_allclose(ops.convert_to_numpy(model(images)), expected, rtol=1e-4, atol=1e-4)
