"""The images of a run, and their split for every seed."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.datasets import ImageDataset, cifar10
from keras_dnnts.datasets.archives import iterate_members, list_members
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
from keras_dnnts.studies.cifar.fitting_to_data import describe_fit, fit_image_size, fit_training, measure_own_images
from keras_dnnts.studies.cifar.precision import settle_precision
from keras_dnnts.studies.cifar.pretrained import resolve_pretrained

BUILDER = "keras_dnnts.datasets.cifar10.builder:KerasDnntsCifar10"

PARTS = ("train", "validation", "test")
MOST_COPIES_NAMED = 100  # images, and files of one


@dataclass(frozen=True)
class CifarData:
    """The images of a run.

    Attributes:
        dataset: all images.
        splits: by seed; of equal sizes but for images with copies, which stay together.
        copies: which images are copies of one another.
        settled: options that the data or the weights to start from have settled, by name.
        choice: what was chosen for a person's own images, in a line; empty where nothing was.
    """

    dataset: ImageDataset
    splits: dict[int, ImageSplit]
    copies: ImageCopies
    settled: Mapping[str, Any] = field(default_factory=dict)
    choice: str = ""

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
                if not len(labels):
                    continue  # no image at all is no missing class
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
        if len(self._first_split.validation) and (validated := self.copies.count_validation_copies()):
            oddities["copies"]["validation"] = validated
        if across := self.copies.list_across_parts(self.dataset):
            oddities["copies"]["across_parts"] = len(across)
            oddities["copies"]["files"] = [files[:MOST_COPIES_NAMED] for files in across[:MOST_COPIES_NAMED]]
        return oddities

    def describe(self) -> dict[str, Any]:
        """Counts of images by class and of the parts, ``class_counts`` of the parts by class, in the order of classes,
        both of the first seed's split, [height, width] of the images before they are resized, and, where there are any,
        ``missing_classes`` by part, how many images are ``copies``, the ``own_parts`` of a source
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
            "class_counts": self._count_by_class(),
            **self._describe_oddities(),
            **({"own_parts": own_parts} if "validation" in own_parts and len(split.validation) else {}),
            **({"left_out": [list(one) for one in dataset.left_out]} if dataset.left_out else {}),
        }

    def _count_by_class(self) -> dict[str, list[int]]:
        classes = len(self.dataset.classes)
        labels = dict(zip(PARTS, select_labels(self.dataset, self._first_split), strict=True))
        return {part: np.bincount(of_part, minlength=classes).tolist() for part, of_part in labels.items()}

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
    pretrained = resolve_pretrained(config)
    data_dir = Path(config.data_dir) if config.data_dir else None
    own = measure_own_images(config, keep=True)
    size = fit_image_size(config, own.side) if own else {}
    largest_side = size.get("image_size", config.image_size)
    dataset = load_image_dataset(config.dataset, data_dir, config.dataset_name, largest_side, config.skip_bad)
    copies = find_copies(dataset)
    all_of_them = config.train_on == "all"
    splits = {
        seed: split_images(dataset, seed, config.train_images, copies.train, all_of_them) for seed in config.all_seeds
    }
    data = CifarData(dataset, splits, copies)
    _check_classes(data)
    fitted = {"batch_size": _fit_batch_size(config, data.train_images)}
    if own is None:
        return dataclasses.replace(data, settled=fitted | pretrained)
    fitted |= size | fit_training(config, data.train_images)
    choice = describe_fit(config, _only_new(config, fitted), data.train_images, own.side)
    return dataclasses.replace(data, settled=fitted | pretrained, choice=choice)


def _only_new(config: CifarConfig, fitted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fitted.items() if not config.is_given(name)}


def resolve(config: CifarConfig, data: CifarData) -> dict[str, Any]:
    """The fields that the data have settled.

    These are the data set that ``"auto"`` turned out to be, a batch size that was not given, which is at most the
    training part, the precision that ``"auto"`` means on this machine, what a person's own images settle
    (:mod:`keras_dnnts.studies.cifar.fitting_to_data`), and the file and hash of the weights to start from.
    """
    settled = dict(data.settled)
    if config.precision == "auto":
        # Grey images have no differences of colours to whiten: in bfloat16, airbench stays at chance (RESULTS.md).
        grey = config.arch == "airbench" and _are_grey(data.dataset.train_images)
        settled["precision"] = "float32" if grey else settle_precision(config)
    if config.data_dir is not None or config.dataset != "auto":
        return settled
    return {**settled, "dataset": "digits" if data.dataset.stand_in else "cifar10"}


def _are_grey(images: np.ndarray) -> bool:
    """Whether the channels of all images (N, H, W, 3) are the same; the first image tells of most that they are not."""
    return all(bool((part == part[..., :1]).all()) for part in (images[:1], images))


def list_choices(data: CifarData) -> list[str]:
    """What was chosen for the data, in a line; none where nothing was."""
    return [data.choice] if data.choice else []


def foresee(config: CifarConfig) -> dict[str, Any]:
    """The fields that :func:`resolve` will give, as far as they are known before an image is decoded.

    Raises:
        UserError: as :func:`survey`.
    """
    pretrained = resolve_pretrained(config)
    own = measure_own_images(config)
    if own is None:
        return pretrained
    train_images = _count_train_images(config)
    return fit_image_size(config, own.side) | fit_training(config, train_images) | pretrained


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
    resolve_pretrained(config)
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
    layout, left_out = list_images(list_members(source), source, config.skip_bad)
    counts = {part: sum(map(len, classes.values())) for part, classes in layout.items()}
    parts = ", ".join(f"{count:,} images in {part}" for part, count in counts.items())
    facts = [f"data: {source}, {parts}, {len(layout['train'])} classes"]
    if left_out:
        facts.append(f"files left out before any is decoded: {len(left_out):,}")
    train_images = _share_of_training(config, counts)
    size = _fit_batch_size(config, train_images)
    if (own := measure_own_images(config)) is not None:
        fitted = fit_image_size(config, own.side) | fit_training(config, train_images)
        facts += filter(None, [describe_fit(config, _only_new(config, fitted), train_images, own.side)])
    elif size != config.batch_size:
        facts.append(f"batch size: {size}, as there are no more training images")
    return facts, len(layout["train"])


def _count_train_images(config: CifarConfig) -> int:
    """About how many images will be trained on."""
    source = Path(str(config.data_dir))
    layout, _ = list_images(list_members(source), source, config.skip_bad)
    return _share_of_training(config, {part: sum(map(len, classes.values())) for part, classes in layout.items()})


def _share_of_training(config: CifarConfig, counts: Mapping[str, int]) -> int:
    share, _, tested = choose_shares("validation" in counts, "test" in counts)
    if config.train_on == "all":
        share = 1.0 if "test" in counts else 1.0 - tested
    return min(round(share * counts["train"]), config.train_images or counts["train"])


def _check_code(config: CifarConfig) -> None:
    """Where a model is a person's own, see that its file is there, before minutes go into the data."""
    if is_own_model(str(config.arch)):
        source_hash(split_own_model(str(config.arch))[0])
