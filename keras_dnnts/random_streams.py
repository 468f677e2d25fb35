"""The only place that makes random generators, each named by what it is for.

NumPy pads the entropy of a generator with zeros, so ``default_rng(0)``, ``default_rng([0, 0])`` and
``default_rng((0, 0, 0))`` are one stream. Here the seed alone is the entropy, and the purpose and its numbers are the
spawn key, whose length and words all count: no two streams are alike.
"""

import random
from enum import StrEnum

import numpy as np


class Purpose(StrEnum):
    """What a stream is for, with the numbers that follow it."""

    SPLIT = "split into parts"
    VALIDATION_NAMES = "split of training names"
    SUBSET = "training images that are kept"
    EXAMPLES = "order of examples"  # none of one stream of examples, else the epoch
    WEIGHTS = "initial weights"  # number of the array
    MEMBER = "networks that are averaged"  # number of the network, from 1: the run's own seed is the first's
    ORDER = "order of images"  # epoch
    AUGMENTATION = "augmentation"  # epoch, batch
    FLIPS = "images flipped in even epochs"
    WHITENING = "images whose patches are whitened"
    LIBRARIES = "libraries"  # none before training, then the epoch
    LAYERS = "seed generators of layers"  # epoch
    EMBEDDED_IMAGES = "images in the embedding"
    EMBEDDING = "embedding"
    SHOWN_IMAGES = "images with activation maps"
    READ_NAMES = "names read letter by letter"
    SAMPLED_NAMES = "names that are measured while a network learns"  # number of the side
    EXPORT_CHECK = "inputs that check an export"  # batch size
    COPIES = "split of images that have copies"
    SWEEP = "settings that a sweep draws"
    OWN_MODEL = "inputs that check a person's own model"


def random_stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return the generator of a seed for one purpose: the same on every machine, unlike any other.

    Args:
        seed: of the run, at least 0.
        purpose: a :class:`Purpose`, or any other text for what this package does not know.
        numbers: which of the purpose's streams, such as an epoch and a batch; each at least 0.

    >>> from keras_dnnts.random_streams import Purpose, random_stream
    >>> first, second = (random_stream(0, Purpose.ORDER, epoch).integers(1000) for epoch in (0, 1))
    >>> bool(first == second)
    False
    """
    return np.random.default_rng(_sequence(seed, purpose, numbers))


def derive_seed(seed: int, purpose: str, *numbers: int) -> int:
    """Return a seed below 2**32 for a library that makes its generator itself; arguments as for the stream."""
    return int(_sequence(seed, purpose, numbers).generate_state(1)[0])


def seed_libraries(seed: int, *numbers: int) -> int:
    """Start Python's and NumPy's global random numbers, and return a seed below 2**32 for an engine's."""
    for_python, for_numpy, for_engine = _sequence(seed, Purpose.LIBRARIES, numbers).generate_state(3).tolist()
    random.seed(for_python)
    np.random.seed(for_numpy)
    return for_engine


def _sequence(seed: int, purpose: str, numbers: tuple[int, ...]) -> np.random.SeedSequence:
    name = purpose.encode()
    return np.random.SeedSequence(seed, spawn_key=(len(name), *name, len(numbers), *numbers))
