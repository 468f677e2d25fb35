"""CIFAR-10 as tensorflow-datasets keeps it, prepared and read without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.cifar10.batches import CLASSES, find_batches, read_parts
from keras_dnnts.datasets.fetch import import_tfds, read_examples
from keras_dnnts.datasets.image_dataset import LabelledImages, build_image_dataset

tfds: Any = import_tfds()

# The binary batches: tensorflow-datasets itself vouches for their checksum, and they need no pickle.
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


class KerasDnntsCifar10(tfds.core.GeneratorBasedBuilder):
    """CIFAR-10 with pixels stored as they are: tensorflow-datasets' own builder needs TensorFlow to encode images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
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

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        archive = Path(dl_manager.download(URL))
        train, test = read_parts(find_batches(iterate_members(archive), archive), archive)
        return {"train": self._generate_examples(*train), "test": self._generate_examples(*test)}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}


def read_prepared(builder: Any) -> ImageDataset:
    """The prepared data as arrays.

    Raises:
        UserError: the prepared files are damaged.
    """
    train, test = (_stack(read_examples(builder, split)) for split in ("train", "test"))
    return build_image_dataset("CIFAR-10", "tensorflow-datasets", CLASSES, train, test)


def _stack(examples: Iterator[dict[str, Any]]) -> LabelledImages:
    images, labels = zip(*((example["image"], example["label"]) for example in examples), strict=True)
    return np.stack(images), np.array(labels, np.int32)
