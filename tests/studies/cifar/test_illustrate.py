"""The training images that a report shows."""

import numpy as np
import pytest
from keras import ops

from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters
from keras_dnnts.studies.cifar.illustrate import show_augmented
from keras_dnnts.studies.cifar.image_batches import ImageBatches


@pytest.mark.one_engine
@pytest.mark.parametrize("batch_size", [5, 30])
def test_training_images_are_those_of_the_first_epoch_as_the_network_got_them(batch_size):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (14, 9, 9, 3), dtype=np.uint8), np.arange(14, dtype=np.int32)
    steps = ("flip", "rotate")
    batches = ImageBatches((images, labels), batch_size, 24, seed=3, shuffled=True, augmentation=steps)
    batches.start_epoch(2)
    shown = show_augmented(batches)

    order = np.arange(14)
    random_stream(3, Purpose.ORDER, 0).shuffle(order)
    assert shown["augmented_label"].tolist() == order[:12].tolist()
    first = order[:batch_size]
    seen = ops.convert_to_numpy(augment_batch(images[first], draw_parameters(len(first), 3, 0, 0, steps), 24))
    expected = np.clip(127.5 + 127.5 * seen, 0, 255)[:12]
    assert shown["augmented_image"].shape == (12, 24, 24, 3)
    np.testing.assert_allclose(shown["augmented_image"][: len(expected)], expected, atol=0.51)
