"""Per-example updates from captured graphs: real ones on a GPU, elsewhere ones that repeat the calls."""

import contextlib
import gc

import keras
import numpy as np
import pytest
import torch

from keras_dnnts.studies.names.models import PerExampleModel, build_char_rnn, compile_per_example
from tests.plain_torch import CELLS, Sizes, Stream, random_stream

if keras.backend.backend() == "torch":
    from keras_dnnts.backend.torch import captured

pytestmark = pytest.mark.one_engine

SIZES = Sizes(width=11, hidden_units=20, classes=5, longest=7)


class Repeated:
    """Graphs for a machine without CUDA: what is captured is called again."""

    waiting_allowed = True

    def capture(self, run):
        return run

    @contextlib.contextmanager
    def refusing_to_wait(self):
        Repeated.waiting_allowed = False
        try:
            yield
        finally:
            Repeated.waiting_allowed = True


class Looking(keras.layers.Layer):
    """Looks at a value, for which a GPU's CPU has to wait."""

    def call(self, inputs):
        if not Repeated.waiting_allowed:
            raise RuntimeError("called a synchronizing operation")
        return inputs * (2.0 if inputs.sum().item() > 0 else 3.0)


@pytest.fixture
def captures(monkeypatch):
    """Let models capture, and count how often they do."""
    graphs = captured.CudaGraphs if torch.cuda.is_available() else Repeated
    count = []

    class Counted(graphs):
        def capture(self, run):
            count.append(run)
            return super().capture(run)

    monkeypatch.setattr(captured, "CudaGraphs", Counted)
    if not torch.cuda.is_available():
        monkeypatch.setattr(PerExampleModel, "_can_capture", lambda self, letters: not self.non_trainable_variables)
    return count


def built(cell="gru", looking=False):
    model = build_char_rnn(cell, SIZES.width, SIZES.classes, SIZES.hidden_units)
    if looking:
        model = PerExampleModel(model.inputs, Looking()(model.output))
    compile_per_example(model, keras.optimizers.schedules.PolynomialDecay(0.3, 300, 0.1))
    return model


def train(model, stream, chunk=40):
    losses = []
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["step_loss"]))
    model.fit(stream.x, stream.labels, batch_size=chunk, shuffle=False, verbose=0, callbacks=[keep])
    return model.get_weights(), losses


def assert_equal(found, expected, **tolerance):
    (weights, losses), (other_weights, other_losses) = found, expected
    np.testing.assert_allclose(losses, other_losses, **tolerance)
    for weight, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(weight, other, **tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_updates_are_those_without_graphs(cell, captures, monkeypatch):
    stream = random_stream(SIZES, 290)
    found = train(built(cell), stream)
    assert len(captures) == SIZES.longest
    monkeypatch.setattr(PerExampleModel, "_can_capture", lambda self, letters: False)
    assert_equal(found, train(built(cell), stream), rtol=1e-4, atol=1e-5)
    assert len(captures) == SIZES.longest


@pytest.mark.parametrize("cell", CELLS)
def test_a_launch_computes_the_very_numbers_of_an_update_as_it_comes(cell, captures, monkeypatch):
    stream = random_stream(SIZES, 290)
    found = train(built(cell), stream)
    assert captures
    monkeypatch.setattr(captured.CapturedUpdates, "_make_next", captured.CapturedUpdates._run)
    assert_equal(found, train(built(cell), stream), rtol=0, atol=0)


def test_larger_chunks_new_weights_and_a_new_loss_are_seen(captures, monkeypatch):
    stream, other = random_stream(SIZES, 100), random_stream(SIZES, 90, seed=1)

    def train_in_steps():
        model = built()
        train(model, stream, chunk=20)
        train(model, other, chunk=45)
        model.set_weights([weight[::-1] for weight in model.get_weights()])
        train(model, stream)
        compile_per_example(model, 0.2)
        model.compile(keras.optimizers.SGD(0.2), loss=lambda labels, outputs: -3 * outputs[:, 2])
        return train(model, other)

    found = train_in_steps()
    assert captures
    monkeypatch.setattr(PerExampleModel, "_can_capture", lambda self, letters: False)
    assert_equal(found, train_in_steps(), rtol=1e-4, atol=1e-5)


def test_narrower_chunks_take_the_graphs_there_are(captures, monkeypatch):
    stream = random_stream(SIZES, 100)
    narrow = Stream(stream.letters[:, :5].copy(), stream.lengths.clip(max=5), stream.labels)

    def train_twice():
        model = built()
        train(model, stream)
        return train(model, narrow)

    found = train_twice()
    assert len(captures) == SIZES.longest
    monkeypatch.setattr(PerExampleModel, "_can_capture", lambda self, letters: False)
    assert_equal(found, train_twice(), rtol=1e-4, atol=1e-5)


def test_outputs_of_another_precision_are_taken(captures):
    model = build_char_rnn("rnn", SIZES.width, SIZES.classes, SIZES.hidden_units)
    model = PerExampleModel(model.inputs, keras.layers.Activation("log_softmax", dtype="float64")(model.output))
    compile_per_example(model, 0.1)
    before = model.get_weights()
    _, losses = train(model, random_stream(SIZES, 100))
    assert captures and np.isfinite(losses).all()
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_what_an_earlier_model_has_captured_may_be_freed_at_any_moment(captures):
    stream = random_stream(SIZES, 60)
    expected = train(built(), stream)
    models = [built() for _ in range(3)]
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(len(models)):
            found = train(models.pop(), stream)
    finally:
        gc.set_threshold(*thresholds)
    assert_equal(found, expected, rtol=0, atol=0)


def test_a_layer_that_looks_at_values_trains_without_graphs(captures, monkeypatch):
    stream = random_stream(SIZES, 100)
    found = train(built(looking=True), stream)
    assert not captures
    monkeypatch.setattr(PerExampleModel, "_can_capture", lambda self, letters: False)
    assert_equal(found, train(built(looking=True), stream), rtol=1e-4, atol=1e-5)


def test_what_fails_without_graphs_fails_as_such(captures):
    model = built()
    model.compile(
        keras.optimizers.SGD(0.2), loss=lambda labels, outputs: outputs @ torch.ones(3, device=outputs.device)
    )
    with pytest.raises(RuntimeError, match=r"size mismatch|cannot be multiplied"):
        train(model, random_stream(SIZES, 20))


def test_a_model_with_something_else_to_change_captures_nothing(captures):
    model = build_char_rnn("rnn", SIZES.width, SIZES.classes, SIZES.hidden_units)
    model = PerExampleModel(model.inputs, keras.layers.Dropout(0.1, seed=3)(model.output))
    compile_per_example(model, 0.1)
    train(model, random_stream(SIZES, 100))
    assert not captures
