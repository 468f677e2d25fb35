"""Keras functional models."""

from keras_dnnts.models.char_rnn import (
    build_char_rnn,
    compile_char_rnn,
    load_torch_weights,
    negative_log_likelihood,
)
from keras_dnnts.models.per_example import PerExampleModel

__all__ = [
    "PerExampleModel",
    "build_char_rnn",
    "compile_char_rnn",
    "load_torch_weights",
    "negative_log_likelihood",
]
