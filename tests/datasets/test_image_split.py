"""Splits of images: sizes, shares of the classes, and nothing in two parts."""

import numpy as np
import pytest

from keras_dnnts.datasets.image_dataset import build_image_dataset
from keras_dnnts.datasets.image_split import select_parts, split_images
from keras_dnnts.errors import UserError


def numbered(count, test_count=None, classes=("a", "b", "c")):
    """Images whose pixel is their number, with random labels."""
    rng = np.random.default_rng(count)

    def part(first, count):
        numbers = np.arange(first, first + count, dtype=np.uint16)
        images = np.stack([numbers // 256, numbers % 256, 0 * numbers], -1).astype(np.uint8)[:, None, None]
        return images, rng.integers(0, len(classes), count).astype(np.int32)

    test = None if test_count is None else part(count, test_count)
    return build_image_dataset("numbers", "here", classes, part(0, count), test)


def numbers_of(images):
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]


def test_cifar10_is_split_as_the_reference_does():
    dataset = numbered(50_000, 10_000, classes=tuple("abcdefghij"))
    split = split_images(dataset, seed=1)
    assert (len(split.train), len(split.validation), len(split.test)) == (35_000, 5_000, 10_000)
    for part, share in ((split.train, 0.7), (split.validation, 0.1)):
        counts = np.bincount(dataset.train_labels[part])
        np.testing.assert_allclose(counts, share * np.bincount(dataset.train_labels), atol=2)


@pytest.mark.parametrize("test_count", [None, 30])
def test_parts_share_no_image(test_count):
    dataset = numbered(200, test_count)
    parts = select_parts(dataset, split_images(dataset, seed=2))
    numbers = np.concatenate([numbers_of(images) for images, _ in parts])
    assert [len(labels) for _, labels in parts] == [140, 20, test_count or 40]
    assert len(set(numbers)) == len(numbers)
    if test_count:
        np.testing.assert_array_equal(parts[2][0], dataset.test_images)
        np.testing.assert_array_equal(parts[2][1], dataset.test_labels)


def test_fewer_training_images_leave_the_other_parts_alone():
    dataset = numbered(200)
    whole, part = split_images(dataset, 3), split_images(dataset, 3, train_images=60)
    np.testing.assert_array_equal(part.validation, whole.validation)
    np.testing.assert_array_equal(part.test, whole.test)
    assert len(part.train) == 60
    assert set(part.train) < set(whole.train)
    shares = np.bincount(dataset.train_labels[part.train]) / np.bincount(dataset.train_labels[whole.train])
    np.testing.assert_allclose(shares, 60 / 140, atol=0.05)


@pytest.mark.parametrize(("images", "train_images", "culprit"), [(9, None, "validation"), (40, 29, "train_images")])
def test_too_few_images_are_an_error(images, train_images, culprit):
    with pytest.raises(UserError, match=culprit):
        split_images(numbered(images), 0, train_images)
