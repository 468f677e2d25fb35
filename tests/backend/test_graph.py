"""Single examples through a resolved graph, and one sequence with gradients by hand, on torch."""

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

from tests.plain_torch import CELLS as PLAIN

if keras.backend.backend() == "torch":  # beside another engine, its layers would take the place of that one's
    from keras_dnnts.backend.torch.graph import resolve_graph, training
    from keras_dnnts.backend.torch.one_sequence import OneSequence

pytestmark = pytest.mark.one_engine

LETTERS, CLASSES = 9, 4


class Doubled(layers.Layer):
    """Doubles while it trains."""

    def call(self, inputs, training=False):
        return 2 * inputs if training else inputs


class Nested(layers.Layer):
    """Holds a layer that trains otherwise, and does not itself ask whether it trains."""

    def __init__(self):
        super().__init__()
        self.inner = Doubled()

    def call(self, inputs):
        return self.inner(inputs) + 1


def built(read):
    """A model of letters and lengths whose vectors are what ``read`` makes of embedded letters."""
    names, lengths = keras.Input((None,), dtype="int32"), keras.Input((), dtype="int32")
    return keras.Model([names, lengths], layers.Dense(CLASSES)(read(layers.Embedding(LETTERS, 5)(names), lengths)))


def mean(vectors):
    return layers.GlobalAveragePooling1D()(vectors)


READERS = {
    "layers": lambda vectors, lengths: mean(layers.Dense(6, activation="tanh")(vectors)),
    "without bias": lambda vectors, lengths: layers.Dense(6, use_bias=False)(mean(vectors)),
    "operations": lambda vectors, lengths: ops.sum(vectors, axis=1) / ops.cast(lengths, "float32")[:, None],
    "several at once": lambda vectors, lengths: layers.Concatenate()(
        [mean(vectors), layers.GlobalMaxPooling1D()(vectors)]
    ),
    "several outputs": lambda vectors, lengths: ops.add(*ops.split(mean(layers.Dense(6)(vectors)), 2, axis=-1)),
    "training": lambda vectors, lengths: Doubled()(mean(vectors)),
    "training within": lambda vectors, lengths: Nested()(mean(vectors)),
    "a model within": lambda vectors, lengths: keras.Sequential([Doubled(), layers.Dense(3)])(mean(vectors)),
    "masks": lambda vectors, lengths: mean(layers.Masking(0.0)(vectors * ops.cast(vectors > 0, "float32"))),
    "a recurrent layer": lambda vectors, lengths: layers.GRU(3)(vectors),
    "mixed precision": lambda vectors, lengths: layers.Dense(6, dtype="mixed_bfloat16")(mean(vectors)),
    "another dtype": lambda vectors, lengths: layers.Dense(6, dtype="float64")(mean(vectors)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_resolved_graph_computes_what_the_model_does_while_it_trains(read):
    keras.utils.set_random_seed(0)
    model = built(read)
    letters, lengths = torch.tensor([[3, 1, 7, 7]], dtype=torch.int32), torch.tensor([4], dtype=torch.int32)
    expected = model([letters, lengths], training=True)
    weights = [variable.value for variable in model.trainable_variables]
    forward = resolve_graph(model)
    with training(model):
        output = forward(letters, lengths)
    np.testing.assert_allclose(output.detach(), expected.detach(), rtol=1e-6, atol=1e-7)
    for found, other in zip(*(torch.autograd.grad(y.sum(), weights) for y in (output, expected)), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-7)


def test_layers_train_no_longer_after_it():
    model = built(READERS["training within"])
    with training(model):
        pass
    letters, lengths = torch.tensor([[3, 1]], dtype=torch.int32), torch.tensor([2], dtype=torch.int32)
    assert not torch.equal(model([letters, lengths]), model([letters, lengths], training=True))


@pytest.mark.parametrize("time", [1, 2, 9])
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_gradients_by_hand_are_those_of_pytorch(cell, time):
    torch.manual_seed(0)
    layer = PLAIN[cell](7, 20, batch_first=True).double()
    inputs = torch.randn(1, time, 7, dtype=torch.float64, requires_grad=True)
    factors = torch.randn(1, time, 20, dtype=torch.float64)
    expected, _ = layer(inputs)
    outputs = OneSequence.apply(cell, inputs[0], *layer.parameters())[None]
    torch.testing.assert_close(outputs, expected)
    wanted = [inputs, *layer.parameters()]
    for found, other in zip(
        *(torch.autograd.grad((y * factors).sum(), wanted) for y in (outputs, expected)), strict=True
    ):
        torch.testing.assert_close(found, other)
