"""CIFAR-10's original files: six batches, pickled (``cifar-10-batches-py``) or binary (``cifar-10-batches-bin``)."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import Member
from keras_dnnts.datasets.image_dataset import LabelledImages, build_image_dataset
from keras_dnnts.datasets.image_folders import IMAGE_SUFFIXES
from keras_dnnts.datasets.restricted_pickle import load_arrays
from keras_dnnts.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST_BATCH = "test_batch"
_BATCH_NAME = re.compile(r"(data_batch_\d|test_batch)(\.bin)?")
_PLANES = (3, 32, 32)
_PIXELS = 3 * 32 * 32


def find_batches(members: Iterable[Member], source: Path) -> dict[str, bytes]:
    """The batches of a tree by file name; none where it is a tree of images.

    Raises:
        UserError: a batch is there twice.
    """
    batches: dict[str, bytes] = {}
    for member in members:
        if member.path.suffix.lower() in IMAGE_SUFFIXES:
            return {}
        if member.read is None or not _BATCH_NAME.fullmatch(member.path.name):
            continue
        if member.path.name in batches:
            raise UserError(f"{source} holds {member.path.name!r} twice: name the folder of one copy")
        batches[member.path.name] = member.read()
    return batches


def read_batches(batches: dict[str, bytes], source: Path) -> ImageDataset:
    """CIFAR-10 from the files that :func:`find_batches` found; raises as :func:`read_parts`."""
    train, test = read_parts(batches, source)
    return build_image_dataset("CIFAR-10", str(source), CLASSES, train, test)


def read_parts(batches: dict[str, bytes], source: Path) -> tuple[LabelledImages, LabelledImages]:
    """The training and the test images of the files that :func:`find_batches` found.

    Raises:
        UserError: a batch is missing or damaged, or the two formats are mixed.
    """
    is_binary = "data_batch_1.bin" in batches
    suffix, read = (".bin", _read_binary) if is_binary else ("", _read_pickled)
    wanted = [name + suffix for name in (*_TRAIN_BATCHES, _TEST_BATCH)]
    if odd := sorted(set(wanted).symmetric_difference(batches)):
        problem = "lacks" if odd[0] in wanted else "mixes its batches with"
        raise UserError(f"{source} {problem} {odd[0]!r}: expected {wanted[0]} to {wanted[-2]} and {wanted[-1]}")
    *train, test = (read(batches[name], f"{source}: {name!r}") for name in wanted)
    return _join(train), _join([test])


def _read_pickled(data: bytes, where: str) -> LabelledImages:
    arrays = load_arrays(data, where)
    if not {"data", "labels"} <= arrays.keys():
        raise UserError(f"{where} is not a CIFAR-10 batch: expected 'data' and 'labels' in it")
    return _checked(arrays["data"], arrays["labels"], where)


def _read_binary(data: bytes, where: str) -> LabelledImages:
    if len(data) % (1 + _PIXELS):
        raise UserError(f"{where} is damaged: its {len(data)} bytes are not a multiple of {1 + _PIXELS}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return _checked(rows[:, 1:], rows[:, 0], where)


def _checked(rows: np.ndarray, labels: np.ndarray, where: str) -> LabelledImages:
    if rows.dtype != np.uint8 or labels.shape != rows.shape[:1] or rows.shape != (len(labels), _PIXELS):
        raise UserError(f"{where} is damaged: {rows.dtype} data {rows.shape} and labels {labels.shape} do not fit")
    if not len(labels) or not np.isin(labels, np.arange(len(CLASSES))).all():
        raise UserError(f"{where} is damaged: it has no labels, or labels other than 0 to {len(CLASSES) - 1}")
    return rows.reshape(-1, *_PLANES).transpose(0, 2, 3, 1), labels.astype(np.int32)


def _join(parts: list[LabelledImages]) -> LabelledImages:
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)
