"""Keras functional models of images. Importing this package makes their layers known to Keras."""

from keras_dnnts.studies.cifar.models.airbench import build_airbench
from keras_dnnts.studies.cifar.models.alexnet import build_alexnet
from keras_dnnts.studies.cifar.models.resnet50 import build_resnet50
from keras_dnnts.studies.cifar.models.torchvision_weights import load_torchvision_weights

__all__ = ["build_airbench", "build_alexnet", "build_resnet50", "load_torchvision_weights", "register_layers"]


def register_layers() -> None:
    """Importing this package has made the layers known to Keras."""
