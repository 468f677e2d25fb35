"""Compiling before the clock of a training starts."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_dnnts import backend
from keras_dnnts.running.callbacks.checkpoint import assign_values, copy_values


def measure_seconds(compile_something: Callable[[], object]) -> float:
    """Call it and return how long that took."""
    began = time.perf_counter()
    compile_something()
    return time.perf_counter() - began


def compile_steps(model: keras.Model, batches: Iterable[tuple[Any, Any]]) -> float:
    """Let the engine compile the training step of a compiled and built model, and return how many seconds that took.

    Engines compile a step when it is first made: one is made of every batch, and everything that it changed put back.

    Args:
        model: with an optimizer that is built.
        batches: (inputs, labels) of every shape that training will have.
    """
    if not backend.COMPILES_STEPS:
        return 0.0
    variables = [*model.variables, *model.optimizer.variables]
    before = copy_values(variables)
    seconds = measure_seconds(lambda: _make_steps(model, batches))
    assign_values(variables, before)
    model.reset_metrics()
    return seconds


def _make_steps(model: keras.Model, batches: Iterable[tuple[Any, Any]]) -> None:
    for inputs, labels in batches:
        # Not train_on_batch, for which engines compile another function.
        model.fit(inputs, labels, batch_size=len(labels), shuffle=False, verbose=0)
