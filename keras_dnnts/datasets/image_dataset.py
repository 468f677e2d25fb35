"""How every source of images ends: one data set with the hash of its content."""

import hashlib
import json

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
) -> ImageDataset:
    """The data set of these parts; the same images in the same order have one hash wherever they come from."""
    test_images, test_labels = test if test is not None else (None, None)
    arrays = (*train, test_images, test_labels)
    return ImageDataset(name, source, False, _content_hash(classes, arrays), classes, *arrays, train_paths, test_paths)


def _content_hash(classes: tuple[str, ...], arrays: tuple[np.ndarray | None, ...]) -> str:
    digest = hashlib.sha256(json.dumps(classes).encode())
    for array in arrays:
        if array is not None:
            digest.update(json.dumps([str(array.dtype), array.shape]).encode())
            digest.update(np.ascontiguousarray(array).data)
    return f"sha256:{digest.hexdigest()}"
