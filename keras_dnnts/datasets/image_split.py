"""Which images are trained on, validated on and tested on."""

from dataclasses import dataclass

import numpy as np

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.image_copies import find_copies
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.datasets.splits import stratified_split
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.random_streams import Purpose

# Of CIFAR-10's 50,000 training images: 35,000, 5,000 and 10,000.
SHARES = (0.7, 0.1, 0.2)
# Where the source has validation images of its own.
SHARES_WITHOUT_VALIDATION = (0.8, 0.0, 0.2)


@dataclass(frozen=True)
class ImageSplit:
    """The parts of a data set, as ascending int64 indices.

    Attributes:
        train: (N,) indices into the data set's training images.
        validation: (M,) indices into its validation images or, where it has none, into its training images.
        test: (T,) indices into its test images or, where it has none, into its training images.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_images(
    dataset: ImageDataset,
    seed: int = 0,
    train_images: int | None = None,
    copies: np.ndarray | None = None,
    without_validation: bool = False,
) -> ImageSplit:
    """Split the training images 70/10/20 into train, validation and a rest, every class by these shares.

    The rest is the test part where the data set has no other, and is set aside where it has one. Where it has
    validation images of its own, none are taken from the training images: these are split 80/20 into train and test
    or, where it has test images as well, are all trained on. All copies of an image among the training images,
    whatever their classes, come into one part.

    Args:
        dataset: the images.
        seed: of the draw.
        train_images: number of images to keep in the training part, drawn by class; None for all.
        copies: (N,) int64, a number that a training image shares with its copies; None to look for them.
        without_validation: whether the training part has all training images that are not the test part's, and the
            validation part none.

    Raises:
        UserError: a part would have fewer than two images, or the training part has fewer than ``train_images``.

    >>> from keras_dnnts import load_image_dataset, split_images
    >>> split = split_images(load_image_dataset("digits"), seed=0, train_images=500)
    >>> len(split.train), len(split.validation), len(split.test)
    (500, 180, 359)
    """
    if copies is None:
        copies = find_copies(dataset).train
    shares = choose_shares(dataset.validation_labels is not None, dataset.test_labels is not None)
    train, validation, rest = _split_with_copies(dataset.train_labels, copies, shares, seed)
    if dataset.validation_labels is not None:
        validation = np.arange(len(dataset.validation_labels))
    test = rest if dataset.test_labels is None else np.arange(len(dataset.test_labels))
    if without_validation:
        tested = test if dataset.test_labels is None else np.empty(0, np.int64)
        train, validation = np.setdiff1d(np.arange(len(dataset.train_labels)), tested), np.empty(0, np.int64)
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if len(part) < 2 and not (without_validation and name == "validation"):
            percent = "/".join(f"{100 * share:.0f}" for share in shares if share) + PER_CENT
            raise UserError(
                f"{dataset.source}: {_count(copies)} are too few: of the shares {percent}, the {name} part gets "
                f"{len(part)}, and needs at least 2"
            )
    if train_images is not None:
        if train_images > len(train):
            raise UserError(
                f"{option_name('train_images')} is {train_images}, but the training part has {len(train)} images"
            )
        sizes = (train_images, len(train) - train_images)
        kept, _ = stratified_split(dataset.train_labels[train], sizes, seed, Purpose.SUBSET)
        train = train[kept]
    return ImageSplit(train, validation, test)


def choose_shares(has_validation: bool, has_test: bool) -> tuple[float, float, float]:
    """The shares of the training images that are trained on, validated on, and tested on or set aside."""
    if not has_validation:
        return SHARES
    return (1.0, 0.0, 0.0) if has_test else SHARES_WITHOUT_VALIDATION


def _split_with_copies(
    labels: np.ndarray, copies: np.ndarray, shares: tuple[float, ...], seed: int
) -> tuple[np.ndarray, ...]:
    """Split as though there were no copies, then give each image that has some, with them, to a part of its own draw.

    Data without copies are split as :func:`stratified_split` does.
    """
    parts = stratified_split(labels, shares, seed)
    sizes = np.bincount(copies)
    copied = np.flatnonzero(sizes > 1)
    if not len(copied):
        return parts
    part_of = np.empty(len(labels), int)
    for number, part in enumerate(parts):
        part_of[part] = number
    first = np.unique(copies, return_index=True)[1]
    # The first copy's class counts, and how many there are: parts get their share of either.
    kinds = np.stack([labels[first[copied]], sizes[copied]], axis=1)
    strata = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
    for number, drawn in enumerate(stratified_split(strata, shares, seed, Purpose.COPIES)):
        part_of[np.isin(copies, copied[drawn])] = number
    return tuple(np.flatnonzero(part_of == number) for number in range(len(parts)))


def _count(copies: np.ndarray) -> str:
    distinct = len(np.unique(copies))
    return f"{len(copies)} training images" + (f", {distinct} of them distinct," if distinct < len(copies) else "")


def select_labels(dataset: ImageDataset, split: ImageSplit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of the train, validation and test part."""
    labels = dataset.train_labels
    validated = labels if dataset.validation_labels is None else dataset.validation_labels
    tested = labels if dataset.test_labels is None else dataset.test_labels
    return labels[split.train], validated[split.validation], tested[split.test]


def select_test_paths(dataset: ImageDataset, split: ImageSplit) -> np.ndarray | None:
    """The files (T,) str of the test part's images within the source; None where they have none."""
    paths = dataset.train_paths if dataset.test_images is None else dataset.test_paths
    return None if paths is None else paths[split.test]


def select_parts(dataset: ImageDataset, split: ImageSplit) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    """The images and labels of the train, validation and test part.

    >>> from keras_dnnts import load_image_dataset, select_parts, split_images
    >>> digits = load_image_dataset("digits")
    >>> train, validation, test = select_parts(digits, split_images(digits, seed=0))
    >>> images, labels = validation
    >>> images.shape, labels.shape
    ((180, 32, 32, 3), (180,))
    """
    train_labels, validation_labels, test_labels = select_labels(dataset, split)
    images = dataset.train_images
    validated = images if dataset.validation_images is None else dataset.validation_images
    tested = images if dataset.test_images is None else dataset.test_images
    return (
        (images[split.train], train_labels),
        (validated[split.validation], validation_labels),
        (tested[split.test], test_labels),
    )
