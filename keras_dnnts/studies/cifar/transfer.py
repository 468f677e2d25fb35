"""A network that starts from the weights of an earlier run: all but its head, the last layer with weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model, load_layers
from keras_dnnts.running.saved_models import read_keras_file
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.models import register_layers

HEAD = "logits"


@dataclass(frozen=True)
class Pretrained:
    """The layers of an earlier run's network.

    Attributes:
        path: its file.
        kinds: the class of each layer, in order.
        weights: the arrays of each layer, none for the head's.
        head: which layer is the head.
    """

    path: str
    kinds: tuple[str, ...]
    weights: tuple[list[np.ndarray], ...]
    head: int


def load_pretrained(config: CifarConfig) -> Pretrained | None:
    """Load the weights that a config starts from, in Keras's safe mode; None where it starts from none.

    Raises:
        UserError: the file is damaged.
    """
    if config.pretrained is None:
        return None
    register_layers()
    layers = load_layers(str(config.arch)) if is_own_model(str(config.arch)) else {}
    model = read_keras_file(Path(config.pretrained), layers)
    head = find_head(model)
    weights = [[] if layer is model.layers[head] else layer.get_weights() for layer in model.layers]
    kinds = tuple(type(layer).__name__ for layer in model.layers)
    return Pretrained(config.pretrained, kinds, tuple(weights), head)


def start_from(model: keras.Model, pretrained: Pretrained) -> None:
    """Give a network of the same layers these weights; its head, whose classes may be others, keeps its own.

    Raises:
        UserError: it has other layers, or weights of other shapes.
    """
    where = f"{option_name('pretrained')} {pretrained.path}"
    if pretrained.kinds != tuple(type(layer).__name__ for layer in model.layers):
        raise UserError(f"{where}: holds another network than {model.name}: the networks must be equal")
    for layer, arrays in zip(model.layers, pretrained.weights, strict=True):
        if layer is model.layers[pretrained.head]:
            continue
        shapes, wanted = [array.shape for array in arrays], [tuple(weight.shape) for weight in layer.weights]
        if shapes != wanted:
            raise UserError(
                f"{where}: its layer {layer.name} has weights of shapes {_list(shapes)}, not {_list(wanted)}: use the "
                f"same {option_name('arch')} and {option_name('width')} and, for networks that need it, "
                f"{option_name('image_size')}"
            )
    for layer, arrays in zip(model.layers, pretrained.weights, strict=True):
        if arrays:
            layer.set_weights(arrays)


def freeze(model: keras.Model) -> None:
    """Let training change the head alone; the statistics of normalisation stay as they are, too."""
    head = find_head(model)
    for number, layer in enumerate(model.layers):
        layer.trainable = number == head


def find_head(model: Any) -> int:
    """The number of a network's last layer with weights, or of the one called ``logits``."""
    named = [number for number, layer in enumerate(model.layers) if layer.name == HEAD]
    with_weights = [number for number, layer in enumerate(model.layers) if layer.weights]
    return (named or with_weights or [len(model.layers) - 1])[-1]


def _list(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes)) or "none"
