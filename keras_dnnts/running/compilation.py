"""Compiling before the clock of a training starts."""

import time
from collections.abc import Callable

import keras

from keras_dnnts import backend
from keras_dnnts.running.callbacks.checkpoint import assign_values, copy_values


def measure_seconds(compile_something: Callable[[], object]) -> float:
    """Call it and return how long that took."""
    began = time.perf_counter()
    compile_something()
    return time.perf_counter() - began


def compile_steps(model: keras.Model, train_briefly: Callable[[], object]) -> float:
    """Let the engine compile the training step of a compiled and built model, and return how many seconds that took.

    Engines compile a step when it is first made: some are made, and everything that they changed is put back.

    Args:
        model: with an optimizer that is built.
        train_briefly: calls ``fit`` (for other methods engines compile another function) on a batch of every shape
            that training will have, given in the form in which training gives them: arrays or a ``PyDataset``.
    """
    if not backend.COMPILES_STEPS:
        return 0.0
    variables = [*model.variables, *model.optimizer.variables]
    before = copy_values(variables)
    seconds = measure_seconds(train_briefly)
    assign_values(variables, before)
    model.reset_metrics()
    return seconds
