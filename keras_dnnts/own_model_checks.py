"""Whether a model that a person's own code built is a functional one, and comes back once it is saved and loaded."""

import inspect
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from keras_dnnts.random_streams import Purpose, random_stream

BATCH, SIDE = 2, 5  # the second for sides of an input that may be of any length
TOLERANCE = 1e-4  # of outputs after loading, relative to the largest of them where that exceeds 1


def objects_of(module: ModuleType) -> dict[str, Any]:
    """The classes and functions that a module defines, by their own and by Keras's registered names."""
    own = [
        value
        for value in vars(module).values()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
    ]
    registered = {keras.saving.get_registered_name(value): value for value in own}
    return {value.__name__: value for value in own} | registered


def find_problem(built: Any) -> str | None:
    """Say why something is no functional Keras model; None where it is one."""
    if not isinstance(built, keras.Model):
        return f"it returns {type(built).__name__}: it must be a keras.Model"
    try:
        inputs, outputs = built.inputs, built.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    if not inputs or not outputs:
        return "it has no known inputs and outputs: build a functional model, keras.Model(inputs, outputs)"
    return None


def find_loss(built: keras.Model, objects: Mapping[str, Any]) -> str | None:
    """Save and load a model in Keras's safe mode; say what it has lost, or None where it computes the same.

    Raises:
        Exception: whatever its layers or Keras raise.
    """
    inputs = [_draw_input(tensor) for tensor in built.inputs]
    expected = np.asarray(_compute(built, inputs), np.float32)
    with tempfile.TemporaryDirectory(prefix="keras-dnnts-") as folder:
        file = Path(folder) / "model.keras"
        built.save(file)
        loaded = keras.saving.load_model(file, custom_objects=dict(objects), compile=False, safe_mode=True)
        found = np.asarray(_compute(loaded, inputs), np.float32)
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    if found.shape == expected.shape and np.allclose(found, expected, 0, TOLERANCE * largest, equal_nan=True):
        return None
    return (
        "computes something else once it is saved and loaded again: keep what a layer learns in its weights, and its "
        "constructor's arguments in get_config"
    )


def _compute(model: keras.Model, inputs: list[np.ndarray]) -> Any:
    return keras.ops.convert_to_numpy(keras.ops.cast(model(inputs if len(inputs) > 1 else inputs[0]), "float32"))


def _draw_input(tensor: Any) -> np.ndarray:
    """Values that an input takes: images, indices of at least two letters, or lengths of up to 2."""
    shape = [BATCH, *(SIDE if side is None else side for side in tensor.shape[1:])]
    rng = random_stream(0, Purpose.OWN_MODEL)
    if "int" not in str(tensor.dtype):
        return rng.uniform(-1, 1, shape).astype(np.float32)
    if len(shape) == 1:
        return np.arange(1, BATCH + 1, dtype=np.int32)
    return rng.integers(0, 2, shape, dtype=np.int32)
