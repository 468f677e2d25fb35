"""Batches of images for ``fit``, ``evaluate`` and ``predict``, made where the model computes."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_dnnts.backend import part_of
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.cifar.augment import (
    AugmentParameters,
    augment_batch,
    draw_flipped,
    draw_parameters,
    prepare_batch,
)


class ImageBatches(keras.utils.PyDataset):
    """Labelled images in batches as the models take them: normalised float32 (n, S, S, 3) with int32 labels (n,).

    The images lie on the device as bytes from the start; a batch is cut from them there. What is random is a pure
    function of seed, epoch and batch, so that a batch can be asked for twice, in any order. Where several processes
    share a batch, images are those of this process's part, and labels those of the whole batch.

    Args:
        data: images (N, H, W, 3) uint8 and labels (N,) int32.
        batch_size: number of images a batch; the last may have fewer.
        image_size: S, or what makes it from the number of the epoch.
        seed: of order and augmentation.
        shuffled: whether every epoch has its own order.
        augmentation: steps of :func:`keras_dnnts.studies.cifar.augment.draw_parameters`; none for images as they are.
        resampling: as for :func:`keras_dnnts.studies.cifar.augment.augment_batch`.
        first_batch: number of the first batch among all that augmentation with this seed sees.
        whole: whether batches are whole in every process.

    Attributes:
        images: N.
        labels: (N,) int32 NumPy array.

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
        image_size: int | Callable[[int], int],
        seed: int = 0,
        shuffled: bool = False,
        augmentation: Collection[str] = (),
        resampling: str = "smooth",
        first_batch: int = 0,
        whole: bool = False,
    ) -> None:
        super().__init__()
        images, labels = data
        self.images, self.labels = len(images), labels
        self.batch_size, self.seed = batch_size, seed
        self._size_of = image_size if callable(image_size) else lambda epoch: image_size
        self.shuffled, self.first_batch, self.whole = shuffled, first_batch, whole
        self.augmentation, self.resampling = augmentation, resampling
        self._flipped = draw_flipped(self.images, seed) if "alternating_flip" in augmentation else None
        self._images, self._labels = ops.convert_to_tensor(images), ops.convert_to_tensor(labels)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Turn to an epoch, counted from 0."""
        self._epoch, self.image_size = epoch, self._size_of(epoch)
        order = np.arange(self.images, dtype=np.int32)
        if self.shuffled:
            random_stream(self.seed, Purpose.ORDER, epoch).shuffle(order)
        self._numbers = order
        # The whole order at once: an index less to send with every batch.
        self._order = ops.convert_to_tensor(order)

    def as_whole(self) -> Self:
        """The same batches, whole in every process."""
        twin = copy.copy(self)
        twin.whole = True
        return twin

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.images // self.batch_size)

    def take(self, index: int) -> tuple[Any, Any]:
        """Return the images (n, H, W, 3) uint8 and labels of a batch of this epoch as they are."""
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        own = chosen[self.part_of(len(chosen))]
        return ops.take(self._images, own, axis=0), ops.take(self._labels, chosen, axis=0)

    def part_of(self, count: int) -> slice:
        """Of a batch of ``count`` images, those that come here."""
        return slice(0, count) if self.whole else part_of(count)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the images and labels of a batch of this epoch."""
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        images, labels = self.take(index)
        if not self.augmentation:
            return prepare_batch(images, self.image_size), labels
        number = self.first_batch + index
        flipped = None if self._flipped is None else self._flipped[self._numbers[batch]]
        drawn = draw_parameters(len(labels), self.seed, self._epoch, number, self.augmentation, flipped)
        own = drawn.take(self.part_of(len(labels)))
        return augment_batch(images, own, self.image_size, self.resampling), labels


class FixedViews(keras.utils.PyDataset):
    """Images in the batches of others, each mirrored, moved by a fixed offset, or both.

    Args:
        batches: whose images they are; what is random in these is left out.
        flip: whether to mirror left and right.
        offset: number of pixels by which an image moves down and right; its mirror image fills what it gains.
    """

    def __init__(self, batches: ImageBatches, flip: bool, offset: int) -> None:
        super().__init__()
        self._batches, self._flip, self._offset = batches, flip, offset

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the images and labels of a batch."""
        images, labels = self._batches.take(index)
        count = len(images)
        moved = np.full(count, -self._offset, np.int32)
        parameters = AugmentParameters(
            flip=np.full(count, self._flip), dx=moved, dy=moved, angle=np.zeros(count, np.float32), reflect=True
        )
        return augment_batch(images, parameters, self._batches.image_size), labels


class OneOfEachShape(keras.utils.PyDataset):
    """Batches of every shape that some batches have in any epoch.

    Args:
        batches: are back in epoch 0 once the last one was asked for.
        epochs: numbers of epochs, one for every size of images.
    """

    def __init__(self, batches: ImageBatches, epochs: Sequence[int] = (0,)) -> None:
        super().__init__()
        self._batches = batches
        numbers = sorted({0, len(batches) - 1})
        self._places = [(epoch, number) for epoch in epochs for number in numbers]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the images and labels of a batch."""
        epoch, number = self._places[index]
        self._batches.start_epoch(epoch)
        images, labels = self._batches[number]
        self._batches.start_epoch(0)
        return images, labels
