"""Keras models of sequences of letters, trained one example at a time or in batches."""

from keras_dnnts.studies.names.models.averaged import MembersAdam, build_together, summed_losses
from keras_dnnts.studies.names.models.batched import BUILDERS, build_bi_gru, build_char_cnn
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
    "BUILDERS",
    "HEAD",
    "RECURRENT",
    "MembersAdam",
    "PerExampleModel",
    "build_bi_gru",
    "build_char_cnn",
    "build_char_rnn",
    "build_together",
    "compile_char_rnn",
    "compile_kernel",
    "compile_per_example",
    "load_torch_weights",
    "negative_log_likelihood",
    "register_layers",
    "runs_fused",
    "summed_losses",
]


def register_layers() -> None:
    """Importing this package has made the layers known to Keras."""
