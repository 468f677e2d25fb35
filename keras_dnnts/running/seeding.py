"""Everything random in an epoch as a pure function of its seed and number."""

import keras
import numpy as np

from keras_dnnts import backend
from keras_dnnts.random_streams import Purpose, random_stream, seed_libraries

SEED_STATE = "seed_generator_state"


def seed_all(seed: int, *epoch: int) -> None:
    """Start the global random numbers of Python, NumPy and the engine.

    ``keras.utils.set_random_seed`` would import TensorFlow wherever it is installed.
    """
    backend.seed_engine(seed_libraries(seed, *epoch))


def seed_epoch(model: keras.Model, seed: int, epoch: int) -> None:
    """Start the random numbers of an epoch, those of the model's layers included, whatever came before it."""
    seed_all(seed, epoch)
    rng = random_stream(seed, Purpose.LAYERS, epoch)
    for variable in model.non_trainable_variables:
        if variable.name == SEED_STATE:
            variable.assign(np.array([rng.integers(2**31), 0]))
