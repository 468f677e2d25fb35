"""CIFAR-10 as tensorflow-datasets keeps it, prepared and read without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.cifar10.batches import CLASSES, find_batches, read_parts
from keras_dnnts.datasets.image_dataset import LabelledImages, build_image_dataset
from keras_dnnts.errors import UserError

# The binary batches: tensorflow-datasets itself vouches for their checksum, and they need no pickle.
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_RECORDS_AT_ONCE = 1000


class KerasDnntsCifar10(tfds.core.GeneratorBasedBuilder):
    """CIFAR-10 with pixels stored as they are: tensorflow-datasets' own builder needs TensorFlow to encode images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Tensor(shape=(32, 32, 3), dtype=np.uint8, encoding="bytes"),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
            # The original order, so that a split drawn from a seed is the same for the original files.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        archive = Path(dl_manager.download(URL))
        train, test = read_parts(find_batches(iterate_members(archive), archive), archive)
        return {"train": self._generate_examples(*train), "test": self._generate_examples(*test)}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}


def read_prepared(builder: tfds.core.DatasetBuilder) -> ImageDataset:
    """The prepared data as arrays.

    Raises:
        UserError: the prepared files are damaged.
    """
    try:
        train, test = (_read_split(builder, split) for split in ("train", "test"))
    # A damaged record file raises almost anything, or gives records without content.
    except Exception as error:
        raise UserError(f"the prepared data in {builder.data_path} are damaged: delete that folder") from error
    return build_image_dataset("CIFAR-10", "tensorflow-datasets", CLASSES, train, test)


def _read_split(builder: tfds.core.DatasetBuilder, split: str) -> LabelledImages:
    records = builder.as_data_source(split=split)
    images = np.empty((builder.info.splits[split].num_examples, 32, 32, 3), np.uint8)
    labels = np.empty(len(images), np.int32)
    for start in range(0, len(images), _RECORDS_AT_ONCE):
        indices = range(start, min(start + _RECORDS_AT_ONCE, len(images)))
        for index, record in zip(indices, records.__getitems__(indices), strict=True):
            images[index], labels[index] = record["image"], record["label"]
    return images, labels
