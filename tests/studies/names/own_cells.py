"""A person's own model of names: an embedding, a layer of their own, the mean over letters."""

import keras
from keras import ops


class MeanOverLetters(keras.layers.Layer):
    """The mean of a name's vectors, times a factor."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, vectors, lengths):
        inside = ops.cast(ops.arange(ops.shape(vectors)[1])[None] < lengths[:, None], vectors.dtype)
        return self.factor * ops.einsum("ntd,nt->nd", vectors, inside) / ops.cast(lengths, vectors.dtype)[:, None]

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def build_model(letters, classes, hidden_units, seed):
    """Inputs letters and lengths, to log-probabilities."""
    names, lengths = keras.Input((None,), dtype="int32"), keras.Input((), dtype="int32")
    vectors = keras.layers.Embedding(letters, hidden_units)(names)
    logits = keras.layers.Dense(classes)(MeanOverLetters(3.0)(vectors, lengths))
    return keras.Model([names, lengths], keras.layers.Activation("log_softmax")(logits))


def build_too_few_classes(letters, classes, hidden_units, seed):
    """An output that does not fit."""
    return build_model(letters, classes - 1, hidden_units, seed)


def build_one_input(letters, classes, hidden_units, seed):
    """An input that is missing."""
    names = keras.Input((None,), dtype="int32")
    summed = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(letters, 4)(names))
    return keras.Model(names, keras.layers.Dense(classes)(summed))
