"""CIFAR-10: downloaded through tensorflow-datasets, or read from its original batches.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from pathlib import Path

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.cifar10.batches import find_batches, read_batches
from keras_dnnts.datasets.fetch import prepared_builder
from keras_dnnts.datasets.image_cache import cached

__all__ = ["find_batches", "load_cifar10", "read_batches"]


def load_cifar10() -> ImageDataset:
    """CIFAR-10, 50,000 training and 10,000 test images of 32x32, downloaded and checked the first time.

    Raises:
        OutOfReachError: there is no copy and no network.
        UserError: the download has the wrong checksum or cannot be kept.
    """
    # Imported here since it takes tensorflow-datasets, which the other sources do without.
    from keras_dnnts.datasets.cifar10 import builder

    prepared = prepared_builder(builder.KerasDnntsCifar10, builder.URL)
    return cached(Path(prepared.data_path), {}, lambda: builder.read_prepared(prepared))
