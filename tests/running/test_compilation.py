"""Compiling before the clock starts leaves a training as it would have been, and nothing to compile in it."""

import keras
import numpy as np
import pytest

from keras_dnnts import backend
from keras_dnnts.running.callbacks import ModelState
from keras_dnnts.running.compilation import compile_steps
from keras_dnnts.running.seeding import seed_all
from keras_dnnts.studies.cifar.image_batches import ImageBatches, OneOfEachShape

pytestmark = pytest.mark.every_engine


class Counted(keras.layers.Layer):
    """Counts how often Python runs it: where steps are compiled, once for each."""

    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return inputs


def build_model():
    """A small network with dropout and batch normalisation."""
    seed_all(0)
    layers = [keras.Input((4, 4, 3)), Counted(), keras.layers.Flatten(), keras.layers.Dense(4)]
    layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss=loss, metrics=["accuracy"])
    return model


def trained(count, compiles):
    """State and history of a network, seconds of compiling, and how often it was compiled during the training."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (count, 4, 4, 3), dtype=np.uint8), rng.integers(0, 3, count, dtype=np.int32)
    model, batches = build_model(), ImageBatches((images, labels), batch_size=8, image_size=4)
    state = ModelState(model)
    few = OneOfEachShape(batches)
    seconds = compile_steps(model, lambda: model.fit(few, shuffle=False, verbose=0)) if compiles else 0.0
    calls = Counted.calls
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
    state.capture()
    return state.get_state(), history, seconds, Counted.calls - calls


@pytest.mark.parametrize("count", [22, 24])
def test_compiling_changes_nothing_and_leaves_nothing_to_compile(count):
    state, history, seconds, calls = trained(count, compiles=True)
    expected, expected_history, *_ = trained(count, compiles=False)
    for name in ("weights", "optimizer"):
        for one, other in zip(state[name], expected[name], strict=True):
            np.testing.assert_array_equal(one, other)
    assert history == expected_history
    assert (seconds > 0) == backend.COMPILES_STEPS
    assert not (backend.COMPILES_STEPS and calls)
