"""Compiling before the clock starts leaves a training as it would have been."""

import keras
import numpy as np
import pytest

from keras_dnnts import backend
from keras_dnnts.running.callbacks import ModelState
from keras_dnnts.running.compilation import compile_steps
from keras_dnnts.running.seeding import seed_all

pytestmark = pytest.mark.every_engine


def trained(compiles):
    """State and history of a small network with dropout and batch normalisation, and seconds of compiling."""
    seed_all(0)
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(22, 5)).astype("float32"), rng.integers(0, 3, 22).astype("int32")
    layers = [keras.Input((5,)), keras.layers.Dense(4), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss=loss, metrics=["accuracy"])
    state = ModelState(model)
    seconds = compile_steps(model, [(inputs[:8], labels[:8]), (inputs[16:], labels[16:])]) if compiles else 0.0
    history = model.fit(inputs, labels, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    state.capture()
    return state.get_state(), history, seconds


def test_what_the_compiled_steps_changed_is_put_back():
    (state, history, _), (expected, expected_history, _) = trained(compiles=True), trained(compiles=False)
    for name in ("weights", "optimizer"):
        for one, other in zip(state[name], expected[name], strict=True):
            np.testing.assert_array_equal(one, other)
    assert history == expected_history


def test_only_engines_that_compile_take_time():
    assert (trained(compiles=True)[2] > 0) == backend.COMPILES_STEPS
