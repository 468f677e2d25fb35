"""Keras models of sequences of letters, trained one example at a time."""

from keras_dnnts.studies.names.models.char_rnn import (
    HEAD,
    RECURRENT,
    build_char_rnn,
    compile_char_rnn,
    compile_kernel,
    compile_per_example,
    load_torch_weights,
    negative_log_likelihood,
    runs_fused,
)
from keras_dnnts.studies.names.models.per_example import PerExampleModel

__all__ = [
    "HEAD",
    "RECURRENT",
    "PerExampleModel",
    "build_char_rnn",
    "compile_char_rnn",
    "compile_kernel",
    "compile_per_example",
    "load_torch_weights",
    "negative_log_likelihood",
    "register_layers",
    "runs_fused",
]


def register_layers() -> None:
    """Importing this package has made the layers known to Keras."""
