"""Batches are what augmentation makes of the images they say, whenever they are asked for."""

import keras
import numpy as np
import pytest

from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch
from keras_dnnts.studies.cifar.image_batches import FixedViews, ImageBatches, OneOfEachShape

pytestmark = pytest.mark.every_engine


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (11, 6, 7, 3), dtype=np.uint8), np.arange(11, dtype=np.int32)


def arrays(batch):
    return [keras.ops.convert_to_numpy(part) for part in batch]


def test_plain_batches_are_in_order_and_the_last_is_smaller(data):
    batches = ImageBatches(data, batch_size=4, image_size=9)
    assert len(batches) == 3
    for index, part in enumerate((slice(0, 4), slice(4, 8), slice(8, 11))):
        images, labels = arrays(batches[index])
        np.testing.assert_allclose(images, arrays([prepare_batch(data[0][part], 9)])[0], atol=1e-6)
        np.testing.assert_array_equal(labels, data[1][part])


@pytest.mark.parametrize("resampling", ["smooth", "pil"])
@pytest.mark.parametrize("steps", [("flip", "crop", "rotate"), ("crop",)], ids="+".join)
def test_augmented_batches_are_a_function_of_seed_epoch_and_batch(data, steps, resampling):
    batches = ImageBatches(data, 4, 9, seed=5, shuffled=True, augmentation=steps, resampling=resampling, first_batch=20)
    batches.start_epoch(2)
    images, labels = arrays(batches[2])
    expected = augment_batch(data[0][labels], draw_parameters(3, 5, 2, 22, steps), 9, resampling)
    np.testing.assert_allclose(images, arrays([expected])[0], atol=1e-5)

    batches.start_epoch(1)
    batches[0]
    batches.start_epoch(2)
    again = arrays(batches[2])
    np.testing.assert_array_equal(again[0], images)
    np.testing.assert_array_equal(again[1], labels)


def test_every_epoch_has_every_image_once_in_its_own_order(data):
    orders = []
    for seed, epoch in ((5, 0), (5, 1), (6, 0)):
        batches = ImageBatches(data, 4, 9, seed=seed, shuffled=True)
        batches.start_epoch(epoch)
        orders.append(np.concatenate([arrays(batches[i])[1] for i in range(3)]).tolist())
        assert sorted(orders[-1]) == list(range(11))
    assert len({tuple(order) for order in orders}) == 3


def test_alternating_flips_follow_the_image_wherever_it_stands(data):
    batches = ImageBatches(data, 4, 7, seed=5, shuffled=True, augmentation=("alternating_flip",))
    seen = {}
    for epoch in range(2):
        batches.start_epoch(epoch)
        for index in range(3):
            images, labels = arrays(batches[index])
            for image, label in zip(images, labels.tolist(), strict=True):
                seen.setdefault(label, []).append(image)
    for label, (even, odd) in seen.items():
        plain = arrays([prepare_batch(data[0][label : label + 1], 7)])[0][0]
        ways = [plain, plain[:, ::-1]]
        found = [next(i for i, way in enumerate(ways) if np.allclose(image, way, atol=1e-5)) for image in (even, odd)]
        assert sorted(found) == [0, 1]


def test_size_may_depend_on_the_epoch(data):
    batches = ImageBatches(data, 4, lambda epoch: 5 + epoch, shuffled=True)
    assert batches[0][0].shape == (4, 5, 5, 3)
    batches.start_epoch(3)
    assert batches[2][0].shape == (3, 8, 8, 3) and batches.image_size == 8
    few = OneOfEachShape(batches, [0, 2])
    assert [few[i][0].shape for i in range(len(few))] == [(4, 5, 5, 3), (3, 5, 5, 3), (4, 7, 7, 3), (3, 7, 7, 3)]


@pytest.mark.parametrize(("flip", "offset"), [(False, 0), (True, 0), (False, 1), (True, -1)])
def test_views_are_the_image_moved_and_mirrored(data, flip, offset):
    views = FixedViews(ImageBatches(data, 4, 6, augmentation=("crop",)), flip, offset)
    padded = np.pad(data[0][8:], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    moved = padded[:, 1 - offset : 7 - offset, 1 - offset : 8 - offset]
    if flip:  # the mirror image moves the same way
        padded = padded[:, :, ::-1]
        moved = padded[:, 1 - offset : 7 - offset, 1 - offset : 8 - offset]
    images, labels = arrays(views[2])
    np.testing.assert_allclose(images, arrays([prepare_batch(moved, 6)])[0], atol=1e-5)
    np.testing.assert_array_equal(labels, data[1][8:])
    assert len(views) == 3
