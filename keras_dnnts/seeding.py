"""Everything random in a run as a pure function of its seed and the epoch."""

import random

import keras
import numpy as np

from keras_dnnts import backend

SEED_STATE = "seed_generator_state"


def seed_all(seed: int, *epoch: int) -> np.ndarray:
    """Start the random numbers of Python, NumPy and the engine; return (4,) uint32 drawn from the same seed.

    ``keras.utils.set_random_seed`` would import TensorFlow wherever it is installed.
    """
    words = np.random.SeedSequence(seed, spawn_key=epoch).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    backend.seed_engine(int(words[2]))
    return words


def seed_epoch(model: keras.Model, seed: int, epoch: int) -> None:
    """Start the random numbers of an epoch, those of the model's layers included, whatever came before it."""
    words = seed_all(seed, epoch)
    generators = [variable for variable in model.non_trainable_variables if variable.name == SEED_STATE]
    rng = np.random.default_rng(words)
    for state in generators:
        state.assign(np.array([rng.integers(2**31), 0]))
