"""A run's network as ONNX."""

import importlib
import json
from typing import Any

import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.export import Exported, Inputs, to_json
from keras_dnnts.export.graph import build_model
from keras_dnnts.export.own import DEVICE, check_engine, export_own
from keras_dnnts.own_models import is_own_model, load_layers
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.running.saved_models import SavedModel
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.predict import load_network


def export(saved: SavedModel, length: int | None, backend: str) -> Exported:
    """Build the ONNX model of a run's network, with inputs to compare both on.

    Args:
        saved: the network.
        length: None; only sequences have one.
        backend: engine to compare with.

    Raises:
        UserError: ``length`` is given, or the network is damaged, not the one the results describe, or has a layer
            that cannot be exported.
    """
    config = saved.config
    assert isinstance(config, CifarConfig) and config.image_size is not None
    if length is not None:
        folder, name = saved.path.parent, option_name("length")
        raise UserError(f"{name} {length}: {folder} is a model of images; {name} is for names")
    about = (
        f"images: RGB, values 0 to 255 divided by 127.5, minus 1, resized (bilinear, antialiased) to "
        f"{config.image_size}x{config.image_size}; output: logits of the metadata's 'classes'"
    )
    metadata = {"classes": to_json(saved.classes)}
    inputs = [_random_images(batch, config.image_size) for batch in Exported.VERIFIED_BATCHES]
    if is_own_model(config.model):
        check_engine(backend)
        model = in_float32(load_network(saved, backend, DEVICE), load_layers(saved.code) if saved.code else {})
        return export_own(saved, model, inputs, "logits", about, metadata)
    model = in_float32(load_network(saved, backend), {})
    # It imports Keras, whose engine has been chosen only now.
    onnx_graph = importlib.import_module("keras_dnnts.studies.cifar.onnx_graph")
    return Exported(build_model(onnx_graph.build_image_graph(model, config.image_size), about, metadata), inputs, model)


def in_float32(model: Any, objects: dict[str, Any]) -> Any:
    """The same weights in a network that computes in float32, whatever the run's precision was.

    Args:
        model: a functional Keras model.
        objects: classes and functions of a person's own that it is made of, by name.
    """
    text = json.dumps(model.get_config())
    exact = text.replace('"mixed_bfloat16"', '"float32"')
    if exact == text:
        return model
    rebuilt = type(model).from_config(json.loads(exact), custom_objects=objects)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _random_images(batch: int, size: int) -> Inputs:
    rng = random_stream(0, Purpose.EXPORT_CHECK, batch)
    return {"images": rng.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)}
