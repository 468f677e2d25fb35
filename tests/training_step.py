"""One training step through ``fit``'s own path, the same on every engine."""

import keras
import numpy as np


def gradients_of_training_step(model: keras.Model, x: np.ndarray, y: np.ndarray, loss=None):
    """The loss of one batch in training mode, and its gradients: what SGD at rate 1 takes away from the weights."""
    before = [np.array(variable) for variable in model.trainable_variables]
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    loss_value = float(model.train_on_batch(x, y))
    after = [np.array(variable) for variable in model.trainable_variables]
    return loss_value, [old - new for old, new in zip(before, after, strict=True)]


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Size of the difference over size of ``expected``; a zero expectation is an error of the test."""
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)
