"""How every source of images ends: one data set with the hash of its content."""

import hashlib
import json
from typing import Any

import numpy as np

from keras_dnnts.datasets import ImageDataset

LabelledImages = tuple[np.ndarray, np.ndarray]
"""Images (N, H, W, 3) uint8 and their labels (N,) int32."""


def build_image_dataset(
    name: str,
    source: str,
    classes: tuple[str, ...],
    train: LabelledImages,
    test: LabelledImages | None,
    train_paths: np.ndarray | None = None,
    test_paths: np.ndarray | None = None,
    *,
    validation: LabelledImages | None = None,
    validation_paths: np.ndarray | None = None,
    left_out: tuple[tuple[str, str], ...] = (),
) -> ImageDataset:
    """The data set of these parts; the same images in the same order have one hash wherever they come from."""
    test_images, test_labels = test if test is not None else (None, None)
    validation_images, validation_labels = validation if validation is not None else (None, None)
    return ImageDataset(
        name=name,
        source=source,
        stand_in=False,
        content_hash=_content_hash(classes, train, test, validation),
        classes=classes,
        train_images=train[0],
        train_labels=train[1],
        test_images=test_images,
        test_labels=test_labels,
        train_paths=train_paths,
        test_paths=test_paths,
        validation_images=validation_images,
        validation_labels=validation_labels,
        validation_paths=validation_paths,
        left_out=left_out,
    )


def _content_hash(
    classes: tuple[str, ...], train: LabelledImages, test: LabelledImages | None, validation: LabelledImages | None
) -> str:
    digest = hashlib.sha256(json.dumps(classes).encode())
    for array in (*train, *(test or ())):
        _update(digest, array)
    if validation is not None:
        digest.update(b"validation")  # which is no test part
        for array in validation:
            _update(digest, array)
    return f"sha256:{digest.hexdigest()}"


def _update(digest: Any, array: np.ndarray) -> None:
    digest.update(json.dumps([str(array.dtype), array.shape]).encode())
    digest.update(np.ascontiguousarray(array).data)
