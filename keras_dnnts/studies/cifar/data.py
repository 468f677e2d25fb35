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
from keras_dnnts.datasets.image_copies import ImageCopies, find_copies
from keras_dnnts.datasets.image_folders import list_images
from keras_dnnts.datasets.image_split import ImageSplit, choose_shares, select_labels, split_images
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model, source_hash, split_own_model
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.findings import name_missing_classes

BUILDER = "keras_dnnts.datasets.cifar10.builder:KerasDnntsCifar10"

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class CifarData:
    """The images of a run.

    Attributes:
        dataset: all images.
        splits: by seed; of equal sizes but for images with copies, which stay together.
        copies: which images are copies of one another.
    """

    dataset: ImageDataset
    splits: dict[int, ImageSplit]
    copies: ImageCopies

    @property
    def train_images(self) -> int:
        """Number of images that are trained on with every seed; with some it may be a few more."""
        return min(len(split.train) for split in self.splits.values())

    def number_test_images(self, seed: int) -> np.ndarray:
        """The test images (T,) of a seed as int64 numbers, equal for copies."""
        numbers = self.copies.train if self.copies.test is None else self.copies.test
        return numbers[self.splits[seed].test]

    def find_missing_classes(self) -> dict[str, list[str]]:
        """The classes that a part lacks, with one seed or more, by part; parts that lack none are left out."""
        missing: dict[str, set[int]] = {}
        for split in self.splits.values():
            for part, labels in zip(PARTS, select_labels(self.dataset, split), strict=True):
                missing.setdefault(part, set()).update(set(range(len(self.dataset.classes))) - set(labels.tolist()))
        return {part: [self.dataset.classes[i] for i in sorted(labels)] for part, labels in missing.items() if labels}

    def _describe_oddities(self) -> dict[str, Any]:
        """What makes the numbers of a run say less; empty for most data."""
        oddities: dict[str, Any] = {}
        if missing := self.find_missing_classes():
            oddities["missing_classes"] = missing
        if copied := self.copies.count_copied():
            oddities["copies"] = {
                "images": copied,
                "of_training_images": self.copies.count_test_copies(),
                "of_other_classes": self.copies.count_conflicts(self.dataset),
            }
        if validated := self.copies.count_validation_copies():
            oddities["copies"]["validation"] = validated
        return oddities

    def describe(self) -> dict[str, Any]:
        """Counts of images by class and of the parts, [height, width] of the images before they are resized, and,
        where there are any, ``missing_classes`` by part, how many images are ``copies``, the ``own_parts`` of a source
        with validation images, and the files that are ``left_out`` with their problems.
        """
        dataset, split = self.dataset, self._first_split
        all_labels = {
            "train": dataset.train_labels,
            "validation": dataset.validation_labels,
            "test": dataset.test_labels,
        }
        own_parts = [part for part, labels in all_labels.items() if labels is not None]
        labels = np.concatenate([labels for labels in all_labels.values() if labels is not None])
        images = np.bincount(labels, minlength=len(dataset.classes)).tolist()
        return {
            "image_shape": list(dataset.train_images.shape[1:3]),
            "counts": {
                "images": dict(zip(dataset.classes, images, strict=True)),
                "train": len(split.train),
                "validation": len(split.validation),
                "test": len(split.test),
            },
            **self._describe_oddities(),
            **({"own_parts": own_parts} if "validation" in own_parts else {}),
            **({"left_out": [list(one) for one in dataset.left_out]} if dataset.left_out else {}),
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
    dataset = load_image_dataset(config.dataset, data_dir, config.dataset_name, config.image_size, config.skip_bad)
    copies = find_copies(dataset)
    splits = {seed: split_images(dataset, seed, config.train_images, copies.train) for seed in config.all_seeds}
    data = CifarData(dataset, splits, copies)
    _check_classes(data)
    _fit_batch_size(config, data.train_images)
    return data


def resolve(config: CifarConfig, data: CifarData) -> dict[str, Any]:
    """The fields that the data have settled.

    These are the data set that ``"auto"`` turned out to be, and a batch size that was not given, which is at most the
    training part.
    """
    batch_size = {"batch_size": _fit_batch_size(config, data.train_images)}
    if config.data_dir is not None or config.dataset != "auto":
        return batch_size
    return {**batch_size, "dataset": "digits" if data.dataset.stand_in else "cifar10"}


def _fit_batch_size(config: CifarConfig, train_images: int) -> int:
    """The batch size for a number of training images.

    Raises:
        UserError: there are fewer than a batch size that was given.
    """
    assert config.batch_size is not None
    if config.batch_size > train_images and config.is_given("batch_size"):
        size = f"{option_name('batch_size')} is {config.batch_size}"
        raise UserError(f"{size}, but there are only {train_images} training images: use at most {train_images}")
    return min(config.batch_size, train_images)


def _check_classes(data: CifarData) -> None:
    """Refuse data of which no two classes are both trained on and tested."""
    missing = data.find_missing_classes()
    lacking = {name for part in ("train", "test") for name in missing.get(part, ())}
    if len(data.dataset.classes) - len(lacking) < 2:
        raise UserError(
            f"{data.dataset.source}: fewer than two classes have both training and test images "
            f"({name_missing_classes(missing)}): add images to them"
        )


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
        return _survey_own(config, Path(config.data_dir))
    if config.dataset == "digits":
        digits = load_digits()
        return [f"data: {digits.name} ({digits.source}), {len(digits.train_images):,} images, 10 classes"], 10
    facts = "data: CIFAR-10, 50,000 training and 10,000 test images, 10 classes"
    if is_ready(BUILDER):
        return [facts], 10
    otherwise = "" if config.dataset == "cifar10" else "; scikit-learn's digits where that is impossible"
    return [f"{facts}, to be downloaded{otherwise}"], 10


def _survey_own(config: CifarConfig, source: Path) -> tuple[Sequence[str], int]:
    if cifar10.find_batches(iterate_members(source), source):
        return [f"data: CIFAR-10's original batches ({source}), 10 classes"], 10
    layout, left_out = list_images(iterate_members(source), source, config.skip_bad)
    counts = {part: sum(map(len, classes.values())) for part, classes in layout.items()}
    parts = ", ".join(f"{count:,} images in {part}" for part, count in counts.items())
    facts = [f"data: {source}, {parts}, {len(layout['train'])} classes"]
    if left_out:
        facts.append(f"files left out before any is decoded: {len(left_out):,}")
    share = choose_shares("validation" in counts, "test" in counts)[0]
    train_images = min(round(share * counts["train"]), config.train_images or counts["train"])
    if (size := _fit_batch_size(config, train_images)) != config.batch_size:
        facts.append(f"batch size: {size}, as there are no more training images")
    return facts, len(layout["train"])


def _check_code(config: CifarConfig) -> None:
    """Where a model is a person's own, see that its file is there, before minutes go into the data."""
    if is_own_model(str(config.arch)):
        source_hash(split_own_model(str(config.arch))[0])
