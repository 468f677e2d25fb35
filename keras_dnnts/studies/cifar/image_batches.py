"""Batches of images for ``fit``, ``evaluate`` and ``predict``, made where the model computes."""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch


class ImageBatches(keras.utils.PyDataset):
    """Labelled images in batches as the models take them: normalised float32 (n, S, S, 3) with int32 labels (n,).

    The images lie on the device as bytes from the start; a batch is cut from them there. What is random is a pure
    function of seed, epoch and batch, so that a batch can be asked for twice, in any order.

    Args:
        data: images (N, H, W, 3) uint8 and labels (N,) int32.
        batch_size: number of images a batch; the last may have fewer.
        image_size: S.
        seed: of order and augmentation.
        shuffled: whether every epoch has its own order.
        augmentation: steps of :func:`keras_dnnts.studies.cifar.augment.draw_parameters`; none for images as they are.
        resampling: as for :func:`keras_dnnts.studies.cifar.augment.augment_batch`.
        first_batch: number of the first batch among all that augmentation with this seed sees.

    Attributes:
        images: N.

    >>> from keras_dnnts import ImageBatches, load_image_dataset
    >>> digits = load_image_dataset("digits")
    >>> batches = ImageBatches((digits.train_images, digits.train_labels), batch_size=128, image_size=64)
    >>> images, labels = batches[0]
    >>> len(batches), tuple(images.shape)
    (15, (128, 64, 64, 3))
    """

    def __init__(
        self,
        data: LabelledImages,
        batch_size: int,
        image_size: int,
        seed: int = 0,
        shuffled: bool = False,
        augmentation: Collection[str] = (),
        resampling: str = "smooth",
        first_batch: int = 0,
    ) -> None:
        super().__init__()
        images, labels = data
        self.images = len(images)
        self.batch_size, self.image_size, self.seed = batch_size, image_size, seed
        self.shuffled, self.first_batch = shuffled, first_batch
        self.augmentation, self.resampling = augmentation, resampling
        self._images, self._labels = ops.convert_to_tensor(images), ops.convert_to_tensor(labels)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Turn to an epoch, counted from 0."""
        self._epoch = epoch
        order = np.arange(self.images, dtype=np.int32)
        if self.shuffled:
            random_stream(self.seed, Purpose.ORDER, epoch).shuffle(order)
        # The whole order at once: an index less to send with every batch.
        self._order = ops.convert_to_tensor(order)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.images // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the images and labels of a batch of this epoch."""
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        images = ops.take(self._images, chosen, axis=0)
        labels = ops.take(self._labels, chosen, axis=0)
        if not self.augmentation:
            return prepare_batch(images, self.image_size), labels
        number = self.first_batch + index
        parameters = draw_parameters(len(images), self.seed, self._epoch, number, self.augmentation)
        return augment_batch(images, parameters, self.image_size, self.resampling), labels


class FirstAndLastBatch(keras.utils.PyDataset):
    """The first and the last of some batches: one of every size they have."""

    def __init__(self, batches: ImageBatches) -> None:
        super().__init__()
        self._batches = batches
        self._numbers = sorted({0, len(batches) - 1})

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._numbers)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the images and labels of a batch."""
        return self._batches[self._numbers[index]]
