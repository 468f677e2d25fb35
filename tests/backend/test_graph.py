"""Single examples through a resolved graph, and one sequence with gradients by hand, on torch."""

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

from tests.plain_torch import CELLS as PLAIN

if keras.backend.backend() == "torch":  # beside another engine, its layers would take the place of that one's
    from keras_dnnts.backend.torch.graph import Resolved, of_same_layers, resolve_graph, resolved, training
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
    "float64 on the way": lambda vectors, lengths: layers.Dense(6)(mean(vectors) * np.array([0.3, 2.0, 1.0, 0.1, 0.7])),
    "a training argument that is not taken": lambda vectors, lengths: layers.Activation("tanh")(
        mean(vectors), training=True
    ),
    "a training argument that was fixed": lambda vectors, lengths: Doubled()(mean(vectors), training=True),
    "an array": lambda vectors, lengths: layers.Add()([mean(vectors), mean(2 * vectors)]),
    "masks within": lambda vectors, lengths: keras.Sequential([layers.Masking(0.0), layers.GRU(3)])(
        vectors * ops.cast(vectors > 0, "float32")
    ),
    "another dtype": lambda vectors, lengths: layers.Dense(6, dtype="float64")(mean(vectors)),
}


class Recorded(layers.Layer):
    """Counts, in a variable of its own, how often it computes."""

    def build(self, input_shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs):
        self.count.assign_add(1)
        return inputs * self.count


def in_precision(policy, build):
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy("float32")


def examples(letters):
    """Names and lengths, on the models' device."""
    letters = np.array(letters, np.int32)
    lengths = np.full(len(letters), letters.shape[1], np.int32)
    return ops.convert_to_tensor(letters), ops.convert_to_tensor(lengths)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_resolved_graph_computes_what_the_model_does_while_it_trains(read):
    keras.utils.set_random_seed(0)
    model = built(read)
    inputs = examples([[3, 1, 7, 7]])
    expected = model(inputs, training=True)
    weights = [variable.value for variable in model.trainable_variables]
    forward = resolve_graph(model, single=True)
    with training(model):
        output = forward(*inputs)
    torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-7)
    gradients, others = (torch.autograd.grad(y.sum(), weights) for y in (output, expected))
    torch.testing.assert_close(gradients, others, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_model_that_runs_its_resolved_graph_has_the_very_outputs_of_keras(read, policy, trains):
    keras.utils.set_random_seed(0)
    model = in_precision(policy, lambda: built(read))
    found = resolved(model)
    assert isinstance(found, Resolved) and found.name == model.name and found.layers == model.layers
    assert found.dtype_policy == model.dtype_policy
    inputs = examples([[3, 1, 7, 7], [2, 2, 5, 8], [1, 4, 6, 3]])
    for _ in range(2):
        output, expected = found(inputs, training=trains), model(inputs, training=trains)
        assert output.dtype == expected.dtype and torch.equal(output, expected)
    assert list(found._graphs) == [trains]
    weights = [variable.value for variable in model.trainable_variables]
    for gradient, other in zip(*(torch.autograd.grad(y.sum(), weights) for y in (output, expected)), strict=True):
        assert torch.equal(gradient, other)


def image_network(seed):
    maps = images = keras.Input((8, 8, 3))
    maps = layers.Conv2D(6, 3, padding="same", activity_regularizer="l2", kernel_regularizer="l2")(maps)
    maps = layers.BatchNormalization()(maps)
    maps = layers.Add()([maps, layers.Conv2D(6, 1, use_bias=False)(maps)])
    features = Recorded()(layers.Dropout(0.3, seed=seed)(layers.GlobalAveragePooling2D()(maps)))
    return keras.Model(images, layers.Dense(CLASSES, dtype="float32")(features))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_trains_to_the_very_numbers_of_keras(policy, frozen):
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(20, 8, 8, 3)).astype("float32"), random.integers(0, CLASSES, 20)
    found = []
    for change in (resolved, lambda model: model):
        keras.utils.set_random_seed(0)
        model = change(in_precision(policy, lambda: image_network(seed=3)))
        model.layers[2].trainable = not frozen
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        history = model.fit(images, labels, validation_split=0.3, batch_size=6, epochs=3, shuffle=False, verbose=0)
        found.append((history.history, model.predict(images, verbose=0), model.get_weights()))
    (history, outputs, weights), (other_history, other_outputs, other_weights) = found
    assert history == other_history and len(history["loss"]) == 3
    np.testing.assert_array_equal(outputs, other_outputs)
    for weight, other in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert len(set(history["loss"])) == 3


def features(layer, inputs=(5,)):
    values = keras.Input(inputs)
    return keras.Model(values, layers.Dense(2)(layer(values)))


def test_what_keras_does_around_a_call_is_not_left_out():
    values = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    with keras.RematScope("full"):
        rematerialised = layers.Dense(3)
    hooked, heard = layers.Dense(3), []
    hooked.register_forward_hook(lambda *what: heard.append(what))
    quantized = features(layers.Dense(3))
    quantized.quantize("int8")
    rematerialise, again = rematerialised.rematerialized_call, []
    rematerialised.rematerialized_call = lambda *what, **how: again.append(what) or rematerialise(*what, **how)
    models = [features(rematerialised), features(hooked), quantized]
    heard.clear()  # shapes were found out
    for model in models:
        assert torch.equal(resolved(model)(values, training=True), model(values, training=True))
    assert len(again) == len(heard) == 2


def test_models_of_the_same_layers_are_made_of_sequential_ones_too():
    sequential = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="own")
    values = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    twin = of_same_layers(Resolved, sequential)
    assert twin.name == "own" and torch.equal(twin(values, training=True), sequential(values, training=True))


@pytest.mark.filterwarnings("error")
def test_it_takes_what_the_model_takes_without_a_warning():
    found = resolved(features(layers.Dense(3)))
    for _ in range(2):
        found(np.ones((4, 5), np.float32), training=True)


def test_other_models_stay_as_they_are():
    inputs = keras.Input((3,))
    several = keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)])
    sequential = keras.Sequential([inputs, layers.Dense(2)])

    class Own(keras.Model):
        pass

    own = Own(inputs, layers.Dense(2)(inputs))
    for model in (several, sequential, own):
        assert resolved(model) is model


def test_layers_train_no_longer_after_it():
    model = built(READERS["training within"])
    with training(model):
        pass
    inputs = examples([[3, 1]])
    assert not torch.equal(model(inputs), model(inputs, training=True))


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
