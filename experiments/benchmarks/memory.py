"""Peak memory of training AlexNet at 224 in batches of 128."""

import resource
import sys

import keras
import numpy as np

from experiments.benchmarks.timing import Row
from keras_dnnts.backend import Adam
from keras_dnnts.studies.cifar.models import build_alexnet


def measure(engine: str) -> list[Row]:
    """Peak of this process after three steps; anything run before in it counts too."""
    random = np.random.default_rng(0)
    images = random.random((128, 224, 224, 3), np.float32)
    model = build_alexnet(224)
    model.compile(Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, random.integers(0, 10, 128), batch_size=128, epochs=3, verbose=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return [Row("AlexNet, 128 images of 224", "peak memory", engine, peak / 2**30, "GiB")]
