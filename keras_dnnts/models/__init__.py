"""Keras functional models."""

from keras_dnnts.studies.cifar.models import alexnet, resnet50
from keras_dnnts.studies.cifar.models.alexnet import build_alexnet
from keras_dnnts.studies.cifar.models.resnet50 import build_resnet50
from keras_dnnts.studies.cifar.models.torchvision_weights import load_torchvision_weights
from keras_dnnts.studies.names.models.char_rnn import (
    HEAD,
    RECURRENT,
    build_char_rnn,
    compile_char_rnn,
    load_torch_weights,
    negative_log_likelihood,
    runs_fused,
)
from keras_dnnts.studies.names.models.per_example import PerExampleModel

ACTIVATION_TAPS = {"alexnet": alexnet.ACTIVATION_TAPS, "resnet50": resnet50.ACTIVATION_TAPS}
PENULTIMATE = "pre_logits"

__all__ = [
    "ACTIVATION_TAPS",
    "HEAD",
    "PENULTIMATE",
    "RECURRENT",
    "PerExampleModel",
    "build_alexnet",
    "build_char_rnn",
    "build_resnet50",
    "compile_char_rnn",
    "load_torch_weights",
    "load_torchvision_weights",
    "negative_log_likelihood",
    "runs_fused",
]
