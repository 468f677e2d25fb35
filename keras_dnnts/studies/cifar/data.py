"""The images of a run, and their split for every seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.datasets import ImageDataset, cifar10
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.digits import load_digits
from keras_dnnts.datasets.fetch import find_place, import_builder, is_ready
from keras_dnnts.datasets.image_folders import list_images
from keras_dnnts.datasets.image_split import ImageSplit, split_images
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model, source_hash, split_own_model
from keras_dnnts.studies.cifar.config import CifarConfig

BUILDER = "keras_dnnts.datasets.cifar10.builder:KerasDnntsCifar10"


@dataclass(frozen=True)
class CifarData:
    """The images of a run.

    Attributes:
        dataset: all images.
        splits: by seed; of equal sizes.
    """

    dataset: ImageDataset
    splits: dict[int, ImageSplit]

    @property
    def train_images(self) -> int:
        """Number of images that are trained on."""
        return len(self._first_split.train)

    def describe(self) -> dict[str, Any]:
        """Counts of images by class and of the parts, and [height, width] of the images before they are resized."""
        dataset, split = self.dataset, self._first_split
        labels = dataset.train_labels
        if dataset.test_labels is not None:
            labels = np.concatenate([labels, dataset.test_labels])
        images = np.bincount(labels, minlength=len(dataset.classes)).tolist()
        return {
            "image_shape": list(dataset.train_images.shape[1:3]),
            "counts": {
                "images": dict(zip(dataset.classes, images, strict=True)),
                "train": len(split.train),
                "validation": len(split.validation),
                "test": len(split.test),
            },
        }

    @property
    def _first_split(self) -> ImageSplit:
        return next(iter(self.splits.values()))


def load_data(config: CifarConfig) -> CifarData:
    """Read the images of a config and split them for every seed.

    Raises:
        UserError: they are out of reach, cannot be used, or are too few; a model of a person's own has no file.
    """
    assert config.image_size is not None and config.batch_size is not None
    _check_code(config)
    data_dir = Path(config.data_dir) if config.data_dir else None
    dataset = load_image_dataset(config.dataset, data_dir, config.dataset_name, config.image_size)
    data = CifarData(dataset, {seed: split_images(dataset, seed, config.train_images) for seed in config.all_seeds})
    if config.batch_size > data.train_images:
        size = f"{option_name('batch_size')} is {config.batch_size}"
        raise UserError(f"{size}, but there are only {data.train_images} training images")
    return data


def list_data_sets(fetch: bool) -> Sequence[tuple[str, str]]:
    """Every image data set and where it is; ``fetch`` downloads what is missing first.

    Raises:
        UserError: a download is not possible.
    """
    if fetch:
        cifar10.load_cifar10()
    return [("CIFAR-10", find_place(import_builder(BUILDER))), ("scikit-learn digits", "bundled")]


def survey(config: CifarConfig) -> tuple[Sequence[str], int]:
    """Facts about the data of a config, and the number of its classes. Downloads nothing and decodes no image.

    Raises:
        UserError: the data cannot be used, or a model of a person's own has no file.
    """
    _check_code(config)
    if config.data_dir is not None:
        return _survey_own(Path(config.data_dir))
    if config.dataset == "digits":
        digits = load_digits()
        return [f"data: {digits.name} ({digits.source}), {len(digits.train_images):,} images, 10 classes"], 10
    facts = "data: CIFAR-10, 50,000 training and 10,000 test images, 10 classes"
    if is_ready(BUILDER):
        return [facts], 10
    otherwise = "" if config.dataset == "cifar10" else "; scikit-learn's digits where that is impossible"
    return [f"{facts}, to be downloaded{otherwise}"], 10


def _survey_own(source: Path) -> tuple[Sequence[str], int]:
    if cifar10.find_batches(iterate_members(source), source):
        return [f"data: CIFAR-10's original batches ({source}), 10 classes"], 10
    layout = list_images(iterate_members(source), source)
    counts = {part: sum(map(len, classes.values())) for part, classes in layout.items()}
    parts = ", ".join(f"{count:,} images in {part}" for part, count in counts.items())
    return [f"data: {source}, {parts}, {len(layout['train'])} classes"], len(layout["train"])


def _check_code(config: CifarConfig) -> None:
    """Where a model is a person's own, see that its file is there, before minutes go into the data."""
    if is_own_model(str(config.arch)):
        source_hash(split_own_model(str(config.arch))[0])
