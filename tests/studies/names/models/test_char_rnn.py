import math

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
from keras_dnnts.studies.names.models.char_rnn import OneHot
from tests.plain_torch import CELLS, PlainClassifier, Sizes, random_stream

pytestmark = pytest.mark.every_engine

SIZES = Sizes(width=11, hidden_units=20, classes=5, longest=9)
NAMES = Sizes(width=58, hidden_units=128, classes=18, longest=19)
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
cells = pytest.mark.parametrize("cell", CELLS)


def build(cell, sizes, seed=0):
    return build_char_rnn(cell, sizes.width, sizes.classes, sizes.hidden_units, seed)


@cells
@pytest.mark.parametrize("sizes", [SIZES, NAMES], ids=str)
def test_outputs_equal_pytorch_for_names_of_all_lengths(cell, sizes):
    plain = PlainClassifier(cell, sizes)
    model = load_torch_weights(build(cell, sizes), *plain.states)
    stream = random_stream(sizes, 50)
    outputs = model.predict(stream.x, batch_size=16, verbose=0)
    np.testing.assert_allclose(outputs, plain.predict(stream), rtol=0, atol=1e-6 if backend.runs_on_cpu() else 1e-5)


def test_an_index_outside_the_width_is_a_row_of_zeros():
    rows = keras.ops.convert_to_numpy(OneHot(3)(np.array([[2, 0], [3, 1], [-1, 500]], "int32")))
    expected = [[[0, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(rows, np.array(expected, "float32"))


def test_evaluate_gives_the_mean_negative_log_likelihood():
    plain = PlainClassifier("gru", SIZES)
    model = load_torch_weights(build("gru", SIZES), *plain.states)
    compile_char_rnn(model)
    stream = random_stream(SIZES, 50)
    expected = -plain.predict(stream)[np.arange(50), stream.labels].mean()
    assert model.evaluate(stream.x, stream.labels, batch_size=16, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_negative_log_likelihood_picks_each_label():
    log_probabilities = keras.ops.convert_to_tensor([[-1.5, -0.25], [-0.75, -2.0], [-3.0, -0.5]])
    losses = keras.ops.convert_to_numpy(negative_log_likelihood(np.array([1, 0, 0]), log_probabilities))
    np.testing.assert_array_equal(losses, np.array([0.25, 0.75, 3.0], "float32"))


@cells
def test_default_sizes_are_the_references(cell):
    model = build_char_rnn(cell)
    gates = GATES[cell]
    assert [weight.shape for weight in model.get_weights()] == [
        (gates * 128, 58),
        (gates * 128, 128),
        (gates * 128,),
        (gates * 128,),
        (128, 18),
        (18,),
    ]


@cells
def test_initial_weights_are_uniform_within_pytorchs_bounds(cell):
    bound = 1 / math.sqrt(128)
    for weight in build(cell, NAMES).get_weights():
        assert bound * (1 - 20 / weight.size) < abs(weight).max() <= bound
        expected_sd = bound / math.sqrt(3)
        assert weight.std() == pytest.approx(expected_sd, rel=2 / math.sqrt(weight.size))
        assert abs(weight.mean()) < 4 * expected_sd / math.sqrt(weight.size)


def test_a_seed_names_the_same_weights_on_every_engine():
    initial = [weight.ravel()[:2] for weight in build("gru", SIZES, seed=3).get_weights()]
    frozen = [
        [0.03068812, 0.08684665],
        [-0.07311891, -0.21114759],
        [-0.12394538, -0.17851199],
        [-0.11017977, 0.20488328],
        [0.06332313, -0.03802448],
        [-0.00859262, -0.12695400],
    ]
    np.testing.assert_allclose(initial, frozen, rtol=0, atol=1e-7)


def test_another_seed_gives_other_weights():
    for weight, other in zip(build("rnn", SIZES, 1).get_weights(), build("rnn", SIZES, 2).get_weights(), strict=True):
        assert (weight != other).all()


@cells
def test_a_saved_model_gives_the_same_outputs(cell, tmp_path):
    model = load_torch_weights(build(cell, SIZES), *PlainClassifier(cell, SIZES).states)
    stream = random_stream(SIZES, 20)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(stream.x, verbose=0), model.predict(stream.x, verbose=0))


def test_unknown_cell():
    with pytest.raises(ValueError, match=r"unknown cell 'qrnn'.*rnn, gru, lstm"):
        build_char_rnn("qrnn")


def test_unknown_engine():
    with pytest.raises(ValueError, match=r"unknown engine 'fast'.*auto, fused, generic"):
        compile_char_rnn(build("rnn", SIZES), engine="fast")


def test_the_engine_is_chosen_by_device(monkeypatch):
    model = build("rnn", Sizes(width=11, hidden_units=6, classes=5, longest=9))
    assert compile_char_rnn(model) == ("fused" if backend.runs_on_cpu() else "generic")
    assert compile_char_rnn(model, engine="generic") == "generic"
    assert model.update_each_fused is None
    monkeypatch.setattr(backend, "runs_on_cpu", lambda: False)
    assert compile_char_rnn(model) == "generic"
    with pytest.raises(ValueError, match="needs the CPU"):
        compile_char_rnn(model, engine="fused")


@pytest.mark.parametrize(
    ("recurrent", "change"),
    [
        ("gru", lambda recurrent, head: None),
        ("rnn", lambda recurrent, head: recurrent.pop("bias_hh_l0")),
        ("rnn", lambda recurrent, head: recurrent.update(weight_ih_l1=recurrent["weight_ih_l0"])),
        ("rnn", lambda recurrent, head: recurrent.update(weight_hh_l0=recurrent["weight_ih_l0"])),
        ("rnn", lambda recurrent, head: head.pop("bias")),
        ("rnn", lambda recurrent, head: head.update(weight=head["weight"].T)),
    ],
    ids=["other cell", "bias missing", "second layer", "wrong shape", "head without bias", "head transposed"],
)
def test_torch_weights_that_do_not_fit(recurrent, change):
    states = PlainClassifier(recurrent, SIZES).states
    change(*states)
    model = build("rnn", SIZES)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layer '(recurrent|head)'"):
        load_torch_weights(model, *states)
    for weight, same in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)
