import numpy as np
from sklearn import datasets

from keras_dnnts.datasets.digits import load_digits


def test_every_digit_as_32_pixel_rgb():
    data = load_digits()
    assert (data.train_images.shape, data.train_images.dtype) == ((1797, 32, 32, 3), np.uint8)
    assert (data.test_images, data.test_labels) == (None, None)
    assert (data.name, data.source, data.stand_in) == ("scikit-learn digits", "scikit-learn", False)
    original = datasets.load_digits()
    assert data.classes == tuple("0123456789")
    np.testing.assert_array_equal(data.train_labels, original.target)
    assert (data.train_images == data.train_images[..., :1]).all()


def test_enlarging_keeps_the_picture():
    images = load_digits().train_images[..., 0].astype(float)
    original = datasets.load_digits().images
    # Enlarged by 4, the middle two samples lie 1/8 of a pixel left and right of an original one.
    weights = np.array([1, 14, 1]) / 16
    middle = images.reshape(-1, 8, 4, 8, 4)[:, 1:-1, 1:3, 1:-1, 1:3].mean((2, 4))
    expected = sum(weights[i] * weights[j] * original[:, i : i + 6, j : j + 6] for i in range(3) for j in range(3))
    np.testing.assert_allclose(middle, expected * 255 / 16, atol=1.5)


def test_the_same_every_time():
    assert load_digits().content_hash == load_digits().content_hash
