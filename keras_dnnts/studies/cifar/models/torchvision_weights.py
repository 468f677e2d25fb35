"""Weights of torchvision's AlexNet and ResNet50 in this package's models."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar.models.alexnet import POOLED_SIZE
from keras_dnnts.studies.cifar.models.resnet50 import BLOCKS_OF_STAGES

_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_torchvision_weights(model: keras.Model, state_dict: Mapping[str, Any]) -> None:
    """Copy a torchvision ``state_dict`` into a model of :func:`build_alexnet` or :func:`build_resnet50`, on any engine.

    Args:
        model: AlexNet or ResNet50, of the state's number of classes. Its weights change only if all of them fit.
        state_dict: PyTorch tensors or NumPy arrays under torchvision's names. Batch counters are ignored.

    Raises:
        UserError: where the model is neither network, a name is missing or left over, or a shape does not fit.

    >>> from keras_dnnts import UserError, build_alexnet, load_torchvision_weights
    >>> try:  # with torchvision: load_torchvision_weights(model, torchvision.models.alexnet().state_dict())
    ...     load_torchvision_weights(build_alexnet(image_size=64, width=0.05), {})
    ... except UserError as error:
    ...     print(error)
    not torchvision's weights of alexnet: missing or unknown classifier.1.bias, classifier.1.weight, classifier.4.bias
    """
    variables = _variables_by_torch_name(model)
    arrays = {name: _to_numpy(value) for name, value in state_dict.items() if not name.endswith("num_batches_tracked")}
    odd_names = sorted(arrays.keys() ^ variables.keys())
    if odd_names:
        raise UserError(f"not torchvision's weights of {model.name}: missing or unknown {', '.join(odd_names[:3])}")
    for name, variable in variables.items():
        expected = _torch_shape(variable.shape)
        if arrays[name].shape != expected:
            raise UserError(
                f"{name} is {arrays[name].shape} and {model.name} needs {expected}: "
                "build the model with the weights' number of classes"
            )
    for name, variable in variables.items():
        variable.assign(_to_keras_layout(name, arrays[name]))


def _variables_by_torch_name(model: keras.Model) -> dict[str, keras.Variable]:
    layers = {"alexnet": _alexnet_layers, "resnet50": _resnet50_layers}
    if model.name not in layers:
        raise UserError(f"torchvision's weights fit alexnet and resnet50 only, and this model is {model.name}")
    return {
        f"{torch_name}.{_TORCH_NAMES[variable.name]}": variable
        for torch_name, layer_name in layers[model.name]().items()
        for variable in model.get_layer(layer_name).variables
    }


def _alexnet_layers() -> dict[str, str]:
    convolutions = {f"features.{index}": f"conv{i}" for i, index in enumerate((0, 3, 6, 8, 10), start=1)}
    return {**convolutions, "classifier.1": "fc6", "classifier.4": "pre_logits", "classifier.6": "logits"}


def _resnet50_layers() -> dict[str, str]:
    layers = {"conv1": "stem", "bn1": "stem_bn", "fc": "logits"}
    for stage, blocks in enumerate(BLOCKS_OF_STAGES, start=1):
        layers[f"layer{stage}.0.downsample.0"] = f"stage{stage}_block1_shortcut"
        layers[f"layer{stage}.0.downsample.1"] = f"stage{stage}_block1_shortcut_bn"
        for block in range(blocks):
            for i in (1, 2, 3):
                convolution = f"stage{stage}_block{block + 1}_conv{i}"
                layers[f"layer{stage}.{block}.conv{i}"] = convolution
                layers[f"layer{stage}.{block}.bn{i}"] = f"{convolution}_bn"
    return layers


def _to_numpy(value: Any) -> np.ndarray:
    # A copy: JAX may keep the very memory it is given, and PyTorch goes on writing to its tensors.
    return np.array(value.detach().cpu().float() if hasattr(value, "detach") else value)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]


def _to_keras_layout(name: str, value: np.ndarray) -> np.ndarray:
    if name == "classifier.1.weight":
        # PyTorch flattens maps as (C, H, W), Keras as (H, W, C).
        by_pixel = value.reshape(len(value), -1, POOLED_SIZE, POOLED_SIZE)
        return by_pixel.transpose(2, 3, 1, 0).reshape(-1, len(value))
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    return value.T
