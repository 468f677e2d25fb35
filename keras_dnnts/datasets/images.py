"""Images with labels from wherever they are: CIFAR-10, a user's own folder or archive, or the bundled digits."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from keras_dnnts.datasets import ImageDataset, cifar10
from keras_dnnts.datasets.archives import forget_listing, iterate_members
from keras_dnnts.datasets.digits import load_digits
from keras_dnnts.datasets.fetch import OutOfReachError
from keras_dnnts.datasets.image_cache import cached
from keras_dnnts.datasets.image_folders import read_image_folders
from keras_dnnts.errors import UserError

SOURCES = ("auto", "cifar10", "digits")

logger = logging.getLogger("keras_dnnts")


def load_image_dataset(
    dataset: str = "auto",
    data_dir: Path | None = None,
    dataset_name: str | None = None,
    largest_side: int = 224,
    skip_bad: bool = False,
) -> ImageDataset:
    """The requested images, decoded and of one size; a second call reads them from the cache.

    Args:
        dataset: ``"cifar10"`` through tensorflow-datasets, ``"digits"`` of scikit-learn, or ``"auto"``: CIFAR-10,
            or, with a warning, the digits if it is not available. Ignored if ``data_dir`` is given.
        data_dir: a folder or an archive (tar, zip) with one folder per class or CIFAR-10's original batches.
        dataset_name: what results and titles call it; None for the source's own name.
        largest_side: pixels; own images whose shorter side exceeds it are shrunk to it.
        skip_bad: leave out files of ``data_dir`` that cannot be used, rather than refuse them all.

    Raises:
        UserError: the data are out of reach, damaged, or not of a form known here.

    >>> from keras_dnnts import load_image_dataset
    >>> load_image_dataset("digits").train_images.shape
    (1797, 32, 32, 3)
    """
    if dataset not in SOURCES:
        raise UserError(f"unknown image data set {dataset!r}: choose one of {', '.join(SOURCES)}")
    if data_dir is not None:
        forget_listing()
        options = {"largest_side": largest_side, "skip_bad": skip_bad}
        found = cached(data_dir, options, lambda: _read_own_images(data_dir, largest_side, skip_bad))
        _warn_of_copies_only(found)
    elif dataset == "auto":
        found = _load_cifar10_or_digits()
    else:
        found = load_digits() if dataset == "digits" else cifar10.load_cifar10()
    if len(found.train_images) < len(found.classes):
        raise UserError(
            f"{found.source} has fewer training images ({len(found.train_images)}) than classes ({len(found.classes)})"
        )
    return dataclasses.replace(found, name=dataset_name or found.name)


def _read_own_images(source: Path, largest_side: int, skip_bad: bool) -> ImageDataset:
    batches = cifar10.find_batches(iterate_members(source), source)
    if batches:
        return cifar10.read_batches(batches, source)
    return read_image_folders(iterate_members(source), source, largest_side, skip_bad)


def _warn_of_copies_only(dataset: ImageDataset) -> None:
    """Say so where all images are one picture, such as white icons, whose transparent parts are white, too."""
    first, *others = dataset.train_images
    if others and all(np.array_equal(image, first) for image in others):
        logger.warning("%s: all training images are the same picture: nothing can be learned from them", dataset.source)


def _load_cifar10_or_digits() -> ImageDataset:
    try:
        return cifar10.load_cifar10()
    except OutOfReachError as error:
        logger.warning("using scikit-learn's digits in place of CIFAR-10: %s", error)
        return dataclasses.replace(load_digits(), stand_in=True)
