"""Batches are what augmentation makes of the images they say, whenever they are asked for."""

import keras
import numpy as np
import pytest

from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch
from keras_dnnts.studies.cifar.image_batches import ImageBatches

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
