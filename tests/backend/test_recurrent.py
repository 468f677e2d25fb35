import keras
import numpy as np
import pytest
import torch

from keras_dnnts.backend import recurrent_outputs, runs_on_cpu
from keras_dnnts.studies.names.models.recurrent import LastOutput, Recurrent
from tests.plain_torch import CELLS, PlainClassifier, Sizes

pytestmark = pytest.mark.every_engine

cells = pytest.mark.parametrize("cell", CELLS)
SIZES = Sizes(width=7, hidden_units=20, classes=2, longest=9)


def random_inputs(batch, time):
    return np.random.default_rng(1).normal(0, 2, (batch, time, SIZES.width)).astype("float32")


def assert_equals_pytorch(cell, outputs, inputs, plain):
    with torch.no_grad():
        expected, _ = plain.recurrent(torch.from_numpy(inputs))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(outputs), expected.numpy(), rtol=0, atol=1e-6 if runs_on_cpu() else 1e-5
    )


@cells
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 9), (5, 9), (3, 40)])
def test_every_state_equals_pytorch(cell, batch, time):
    plain = PlainClassifier(cell, SIZES)
    inputs = random_inputs(batch, time)
    weights = [keras.ops.convert_to_tensor(weight) for weight in plain.weights()[:4]]
    outputs = recurrent_outputs(cell, keras.ops.convert_to_tensor(inputs), weights)
    assert tuple(outputs.shape) == (batch, time, SIZES.hidden_units)
    assert_equals_pytorch(cell, outputs, inputs, plain)


@cells
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only its graphs can have a time of no known size")
def test_a_time_unknown_to_the_graph(cell):
    import tensorflow as tf

    plain = PlainClassifier(cell, SIZES)
    inputs = random_inputs(3, 9)
    weights = [tf.constant(weight) for weight in plain.weights()[:4]]
    traced = tf.function(
        lambda inputs: recurrent_outputs(cell, inputs, weights),
        input_signature=[tf.TensorSpec((None, None, SIZES.width), "float32")],
    )
    assert_equals_pytorch(cell, traced(inputs), inputs, plain)


@cells
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX's default on a GPU")
def test_on_a_gpu_no_product_is_rounded_to_fewer_bits(cell, monkeypatch):
    import jax

    from keras_dnnts.backend.jax import device

    weights = [keras.ops.convert_to_tensor(weight) for weight in PlainClassifier(cell, SIZES).weights()[:4]]
    inputs = keras.ops.convert_to_tensor(random_inputs(5, 9))

    def precisions():
        gradient = jax.grad(lambda inputs, weights: recurrent_outputs(cell, inputs, weights).sum(), argnums=(0, 1))
        equations = list(all_equations(jax.make_jaxpr(gradient)(inputs, weights).jaxpr))
        return [equation.params["precision"] for equation in equations if equation.primitive.name == "dot_general"]

    assert len(precisions()) >= 6
    monkeypatch.setattr(device, "runs_on_cpu", lambda: False)
    assert set(precisions()) == {(jax.lax.Precision.HIGHEST,) * 2}


def all_equations(jaxpr):
    """Those of a JAX program and of the programs within its equations."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
                    yield from all_equations(getattr(inner, "jaxpr", inner))


@cells
def test_the_layer_keeps_pytorchs_weights_and_order(cell):
    plain = PlainClassifier(cell, SIZES)
    layer = Recurrent(cell, SIZES.hidden_units)
    inputs = random_inputs(4, 9)
    layer.build(inputs.shape)
    layer.set_weights(plain.weights()[:4])
    assert [weight.name for weight in layer.weights] == [
        "input_kernel",
        "recurrent_kernel",
        "input_bias",
        "recurrent_bias",
    ]
    assert_equals_pytorch(cell, layer(inputs), inputs, plain)


def test_last_output_is_each_sequences_own():
    outputs = random_inputs(4, 9)
    lengths = np.array([9, 1, 4, 8], "int32")
    picked = LastOutput()(outputs, lengths)
    expected = [outputs[row, length - 1] for row, length in enumerate(lengths)]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(picked), expected)
