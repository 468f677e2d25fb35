import keras
import numpy as np
import pytest

from keras_dnnts import backend
from keras_dnnts.studies.names.models import (
    build_char_rnn,
    compile_char_rnn,
    load_torch_weights,
    negative_log_likelihood,
)
from tests.plain_torch import CELLS, PlainClassifier, Sizes, Stream, random_stream

pytestmark = pytest.mark.every_engine

SMALL = Sizes(width=11, hidden_units=20, classes=5, longest=7)
TOLERANCE = 1e-5 if keras.backend.backend() == "torch" else 1e-4

cells = pytest.mark.parametrize("cell", CELLS)
fused = pytest.param("fused", marks=pytest.mark.skipif(not backend.runs_on_cpu(), reason="a CPU kernel"))
engines = pytest.mark.parametrize("engine", ["generic", fused])
# The kernel is the same on every engine, and a few of its tests on each show that they call it alike.
generic_on_each = pytest.mark.parametrize(
    "engine", ["generic", pytest.param("fused", marks=[*fused.marks, pytest.mark.one_engine])]
)


def compiled_model(cell, engine, learning_rate, sizes=SMALL):
    """A model that starts from the weights of ``PlainClassifier(cell, sizes)``."""
    model = build_char_rnn(cell, sizes.width, sizes.classes, sizes.hidden_units)
    load_torch_weights(model, *PlainClassifier(cell, sizes).states)
    compile_char_rnn(model, learning_rate, engine)
    return model


def train(model, stream, chunk):
    """Train on every example once, and return the logs of every chunk."""
    chunks = []
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: chunks.append(dict(logs)))
    model.fit(stream.x, stream.labels, batch_size=chunk, shuffle=False, verbose=0, callbacks=[keep])
    return chunks


def assert_same_weights(weights, expected, tolerance):
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=0, atol=tolerance)


@engines
@cells
def test_300_updates_equal_plain_pytorch(cell, engine):
    stream = random_stream(SMALL, 300)
    plain = PlainClassifier(cell, SMALL)
    model = compiled_model(cell, engine, learning_rate=0.1)
    before = model.get_weights()
    train(model, stream, chunk=100)
    plain.train(stream, learning_rate=0.1)
    assert_same_weights(model.get_weights(), plain.weights(), TOLERANCE)
    assert min(abs(new - old).max() for new, old in zip(plain.weights(), before, strict=True)) > 0.01


@generic_on_each
@cells
def test_the_references_sizes_equal_plain_pytorch(cell, engine):
    sizes = Sizes(width=58, hidden_units=128, classes=18, longest=10)
    stream = random_stream(sizes, 60)
    plain = PlainClassifier(cell, sizes)
    model = compiled_model(cell, engine, learning_rate=0.1, sizes=sizes)
    train(model, stream, chunk=60)
    plain.train(stream, learning_rate=0.1)
    assert_same_weights(model.get_weights(), plain.weights(), TOLERANCE)


@engines
def test_names_of_one_letter(engine):
    sizes = Sizes(width=11, hidden_units=20, classes=5, longest=1)
    stream = random_stream(sizes, 40)
    plain = PlainClassifier("lstm", sizes)
    model = compiled_model("lstm", engine, learning_rate=0.3, sizes=sizes)
    train(model, stream, chunk=40)
    plain.train(stream, learning_rate=0.3)
    assert_same_weights(model.get_weights(), plain.weights(), TOLERANCE)


@engines
def test_a_chunk_of_8_equals_8_chunks_of_1(engine):
    stream = random_stream(SMALL, 16)
    whole, single = (compiled_model("rnn", engine, learning_rate=0.3) for _ in range(2))
    train(whole, stream, chunk=8)
    train(single, stream, chunk=1)
    assert_same_weights(whole.get_weights(), single.get_weights(), 1e-7)


@engines
def test_the_last_chunk_may_be_smaller_and_the_first_the_last(engine):
    stream = random_stream(SMALL, 11)
    logs, weights = {}, {}
    for chunk in (4, 11, 20):
        model = compiled_model("rnn", engine, learning_rate=0.3)
        logs[chunk] = train(model, stream, chunk)
        weights[chunk] = model.get_weights()
    assert [len(logs[chunk]) for chunk in logs] == [3, 1, 1]
    assert_same_weights(weights[4], weights[11], 1e-7)
    assert_same_weights(weights[20], weights[11], 1e-7)
    ends = [float(logs[chunk][-1]["loss"]) for chunk in logs]
    np.testing.assert_allclose(ends, ends[0], rtol=1e-5)


@engines
def test_the_order_of_examples_matters(engine):
    stream = random_stream(SMALL, 16)
    forwards, backwards = (compiled_model("rnn", engine, learning_rate=0.3) for _ in range(2))
    train(forwards, stream, chunk=8)
    train(backwards, stream[::-1], chunk=8)
    differences = [abs(a - b).max() for a, b in zip(forwards.get_weights(), backwards.get_weights(), strict=True)]
    assert min(differences) > 1e-3


@engines
def test_what_stands_after_a_name_has_no_influence(engine):
    stream = random_stream(SMALL, 16)
    beyond = np.arange(SMALL.longest) >= stream.lengths[:, None]
    other = Stream(np.where(beyond, (stream.letters + 3) % SMALL.width, stream.letters), stream.lengths, stream.labels)
    assert (other.letters != stream.letters).any()
    model, junk = (compiled_model("rnn", engine, learning_rate=0.3) for _ in range(2))
    train(model, stream, chunk=8)
    train(junk, other, chunk=8)
    assert_same_weights(model.get_weights(), junk.get_weights(), 1e-7)


@engines
def test_logs_are_of_before_each_update(engine):
    stream = random_stream(SMALL, 20)
    losses, guesses = PlainClassifier("rnn", SMALL).train(stream, learning_rate=0.3)
    model = compiled_model("rnn", engine, learning_rate=0.3)
    ends = [8, 16, 20]
    logs = train(model, stream, chunk=8)
    assert all(set(log) == {"loss", "step_loss", "guess", "finite_updates"} for log in logs)
    np.testing.assert_allclose([log["loss"] for log in logs], [losses[:end].mean() for end in ends], rtol=1e-4)
    np.testing.assert_allclose([log["step_loss"] for log in logs], [losses[end - 1] for end in ends], rtol=1e-4)
    assert [log["guess"] for log in logs] == [guesses[end - 1] for end in ends]
    assert [log["finite_updates"] for log in logs] == [8, 8, 4]
    assert model.optimizer.iterations == 20
    assert len(set(guesses)) > 1


@engines
def test_every_epoch_has_a_mean_loss_of_its_own(engine):
    stream = random_stream(SMALL, 16)
    plain = PlainClassifier("rnn", SMALL)
    expected = [plain.train(stream, learning_rate=0.3)[0].mean() for _ in range(2)]
    model = compiled_model("rnn", engine, learning_rate=0.3)
    history = model.fit(stream.x, stream.labels, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)


@generic_on_each
@pytest.mark.parametrize("learning_rate", [2e37, pytest.param(np.inf, marks=pytest.mark.one_engine)])
def test_a_diverging_run_is_seen_where_it_diverges(engine, learning_rate):
    stream = random_stream(SMALL, 16)
    stream.labels[:] = 3
    stream.labels[1::2] = 1
    single = train(compiled_model("rnn", engine, learning_rate), stream, chunk=1)
    finite = np.isfinite([log["step_loss"] for log in single])
    first = int(finite.argmin())
    assert 1 <= first < 8

    first_chunk, second_chunk = train(compiled_model("rnn", engine, learning_rate), stream, chunk=8)
    assert first_chunk["finite_updates"] == first
    assert not np.isfinite(first_chunk["loss"])
    assert not np.isfinite(second_chunk["step_loss"])
    assert second_chunk["finite_updates"] == np.cumprod(finite[8:]).sum()
    assert [log["finite_updates"] for log in single] == finite.astype(int).tolist()


@pytest.mark.parametrize("engine", [fused])
def test_what_the_kernel_cannot_take_is_an_error_of_fit(engine):
    stream = random_stream(SMALL, 12)
    model = compiled_model("gru", engine, learning_rate=0.1)
    train(model, stream, chunk=6)
    before = model.get_weights()
    wrong = stream.labels.copy()
    wrong[4] = SMALL.classes
    with pytest.raises(ValueError, match="labels must lie between 0 and 4, got 0 to 5"):
        model.fit(stream.x, wrong, batch_size=6, shuffle=False, verbose=0)
    if keras.backend.backend() != "jax":  # where Keras takes the weights out of a model while it trains
        assert_same_weights(model.get_weights(), before, tolerance=0)


@engines
def test_a_new_learning_rate_takes_effect(engine):
    stream = random_stream(SMALL, 16)
    plain = PlainClassifier("rnn", SMALL)
    model = compiled_model("rnn", engine, learning_rate=0.3)
    train(model, stream[:8], chunk=8)
    model.optimizer.learning_rate = 0.01
    train(model, stream[8:], chunk=8)
    plain.train(stream[:8], learning_rate=0.3)
    plain.train(stream[8:], learning_rate=0.01)
    assert_same_weights(model.get_weights(), plain.weights(), 1e-6 if backend.runs_on_cpu() else TOLERANCE)


SCHEDULES = {
    "linear": (keras.optimizers.schedules.PolynomialDecay(0.3, 40, 0), lambda i: 0.3 * (1 - i / 40)),
    "cosine": (keras.optimizers.schedules.CosineDecay(0.3, 40), lambda i: 0.15 * (1 + np.cos(np.pi * i / 40))),
}


@generic_on_each
@pytest.mark.parametrize(("schedule", "rate"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_gives_every_update_its_own_rate(engine, schedule, rate):
    stream = random_stream(SMALL, 32)
    plain = PlainClassifier("gru", SMALL)
    for i in range(32):
        plain.train(stream[i : i + 1], learning_rate=rate(i))
    whole, in_parts = (compiled_model("gru", engine, schedule) for _ in range(2))
    train(whole, stream, chunk=32)
    train(in_parts, stream[:8], chunk=8)
    train(in_parts, stream[8:], chunk=8)
    assert_same_weights(whole.get_weights(), plain.weights(), 1e-5)
    assert_same_weights(in_parts.get_weights(), whole.get_weights(), 1e-6)  # vector lengths round cosines differently


@engines
def test_a_loaded_model_trains_on_as_the_saved_one(engine, tmp_path):
    stream = random_stream(SMALL, 16)
    model = compiled_model("rnn", engine, learning_rate=0.3)
    train(model, stream[:8], chunk=8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    compile_char_rnn(loaded, 0.3, engine)
    train(model, stream[8:], chunk=8)
    train(loaded, stream[8:], chunk=8)
    assert_same_weights(loaded.get_weights(), model.get_weights(), 0)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.Adam(),
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.optimizers.SGD(0.1, weight_decay=0.1),
        keras.optimizers.SGD(0.1, clipnorm=1.0),
        keras.optimizers.SGD(0.1, clipvalue=1.0),
        keras.optimizers.SGD(0.1, global_clipnorm=1.0),
        keras.optimizers.SGD(0.1, use_ema=True),
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_other_optimizers_are_refused(optimizer):
    model = build_char_rnn("rnn", SMALL.width, SMALL.classes, SMALL.hidden_units)
    model.compile(optimizer, loss=negative_log_likelihood)
    with pytest.raises(ValueError, match="plain SGD"):
        model.check_compiled()


@pytest.mark.one_engine
@pytest.mark.parametrize("loss", [None, "sparse_categorical_crossentropy"])
def test_other_losses_are_refused(loss):
    model = build_char_rnn("rnn", SMALL.width, SMALL.classes, SMALL.hidden_units)
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    with pytest.raises(ValueError, match="loss"):
        model.check_compiled()


def test_fit_checks_what_it_was_compiled_with():
    model = build_char_rnn("rnn", SMALL.width, SMALL.classes, SMALL.hidden_units)
    model.compile("adam", loss=negative_log_likelihood)
    with pytest.raises(ValueError, match="plain SGD"):
        train(model, random_stream(SMALL, 2), chunk=2)
