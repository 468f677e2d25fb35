"""Splits of images: sizes, shares of the classes, and nothing in two parts."""

import dataclasses

import numpy as np
import pytest

from keras_dnnts.datasets.image_copies import find_copies
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


def with_validation(dataset, count):
    """The data set with ``count`` validation images of its own, numbered on."""
    extra = numbered(count)
    images = extra.train_images.copy()
    images[..., 2] = 1
    return dataclasses.replace(dataset, validation_images=images, validation_labels=extra.train_labels)


@pytest.mark.parametrize("test_count", [None, 30])
def test_own_validation_images_leave_the_training_images_to_train_and_test(test_count):
    dataset = with_validation(numbered(200, test_count), 25)
    split = split_images(dataset, seed=2)
    (_, train_labels), validation, test = select_parts(dataset, split)
    np.testing.assert_array_equal(validation[0], dataset.validation_images)
    np.testing.assert_array_equal(validation[1], dataset.validation_labels)
    np.testing.assert_array_equal(split.validation, np.arange(25))
    if test_count:
        np.testing.assert_array_equal(split.train, np.arange(200))
        np.testing.assert_array_equal(test[0], dataset.test_images)
    else:
        assert (len(split.train), len(split.test)) == (160, 40)
        assert sorted([*split.train, *split.test]) == list(range(200))
        shares = np.bincount(train_labels) / np.bincount(dataset.train_labels)
        np.testing.assert_allclose(shares, 0.8, atol=0.05)


def test_copies_stay_together_beside_own_validation_images():
    dataset = with_validation(numbered(100), 10)
    twice = dataclasses.replace(
        dataset,
        train_images=np.concatenate([dataset.train_images] * 2),
        train_labels=np.concatenate([dataset.train_labels] * 2),
    )
    split = split_images(twice, seed=1)
    assert set(split.train % 100).isdisjoint(split.test % 100)
    assert len(split.train) + len(split.test) == 200


@pytest.mark.parametrize("count", [1, 0])
def test_too_few_own_validation_images_are_an_error(count):
    with pytest.raises(UserError, match="validation"):
        split_images(with_validation(numbered(200), count))


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


def with_copies(dataset, original, copies):
    """The data set with some of its images turned into copies of others."""
    images = dataset.train_images.copy()
    images[copies] = images[original]
    return dataclasses.replace(dataset, train_images=images)


@pytest.mark.parametrize("test_count", [None, 30])
def test_all_copies_of_an_image_are_in_one_part(test_count):
    dataset = numbered(240, test_count)
    everywhere = with_copies(dataset, np.arange(240) // 10 * 10, np.arange(240))
    for seed in range(5):
        split = split_images(everywhere, seed)
        parts = [split.train, split.validation, *([] if test_count else [split.test])]
        originals = [set(numbers_of(everywhere.train_images[part])) for part in parts]
        assert sum(map(len, originals)) == len(set.union(*originals))
        assert [len(part) for part in parts[:2]] == [170, 20]


def test_images_without_copies_stay_where_they_were():
    dataset = numbered(400)
    split, other = (split_images(one, 6) for one in (dataset, with_copies(dataset, [1, 2, 3], [200, 300, 399])))
    moved = {index for name in vars(split) for index in set(vars(split)[name]) ^ set(vars(other)[name])}
    assert moved <= {1, 2, 3, 200, 300, 399}
    assert np.array_equal(np.sort(np.concatenate([*vars(other).values()])), np.arange(400))


def test_copies_are_counted_with_those_of_other_classes():
    dataset = numbered(50, 10, classes=("a", "b"))
    labels = np.zeros(50, np.int32)
    labels[7:] = 1
    test_images = dataset.test_images.copy()
    test_images[[0, 1]], test_images[2] = dataset.train_images[3], test_images[4]
    dataset = dataclasses.replace(
        with_copies(dataset, 5, 40), train_labels=labels, test_images=test_images, test_labels=np.zeros(10, np.int32)
    )
    copies = find_copies(dataset)
    assert copies.count_copied() == 2 + 3 + 2  # images 5 and 40; 3 and two test images; two test images
    assert copies.count_test_copies() == 2
    assert copies.count_conflicts(dataset) == 2
    assert find_copies(numbered(50)).count_copied() == 0


def test_too_few_distinct_images_are_an_error():
    with pytest.raises(UserError, match="40 training images, 2 of them distinct, are too few"):
        split_images(with_copies(numbered(40), np.arange(40) % 2, np.arange(40)))
