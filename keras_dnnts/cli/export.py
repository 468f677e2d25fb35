"""``keras-dnnts export``: a run's model as ONNX, compared with the model itself before it is kept."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.config import CifarConfig, NamesConfig
from keras_dnnts.datasets.letters import checked_alphabet
from keras_dnnts.errors import UserError
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.running.saved_models import SavedModel, find_saved_model, load_keras_model
from keras_dnnts.studies.names.predict import read_names_weights
from keras_dnnts.whole_files import whole_file

LONGEST_REAL_NAME = 19  # of the reference's names
VERIFIED_BATCHES = (1, 33)
LARGEST_DIFFERENCE = 1e-4  # of outputs, relative to the largest of them where that exceeds 1

Inputs = dict[str, np.ndarray]


def export_and_verify(
    run: Path, out: Path | None, *, seed: int | None, length: int | None, backend: str | None
) -> None:
    """Write a run's model as ONNX and print how far its outputs are from the model's.

    Args:
        run: the run directory.
        out: file to write; None is beside the model.
        seed: whose model; None is the first.
        length: letters of the padded names; None is the longest name of the run's data, at least 19.
        backend: engine to compare with; None is the run's own.

    Raises:
        UserError: a package is missing, the run, its model or ``out`` cannot be used, or the outputs differ.
    """
    _check_installed()
    saved = find_saved_model(run, seed)
    if out is not None and out.exists():
        raise UserError(f"--out {out}: is there already; name another file")
    path = out or saved.path.with_suffix(".onnx")
    if isinstance(saved.config, NamesConfig):
        proto, inputs, model = _export_names(saved, length, backend or saved.config.backend)
    elif length is not None:
        raise UserError(f"--length {length}: {run} is a model of images; --length is for names")
    else:
        proto, inputs, model = _export_images(saved, backend or saved.config.backend)
    difference, largest = _write(proto, inputs, model, path)
    batches = " and ".join(map(str, VERIFIED_BATCHES))
    print(f"{path}: {saved.result.model_name}, seed {saved.seed}, inputs {_describe(proto)}")
    print(
        f"Largest difference from the Keras model: {difference:.1e} (outputs up to {largest:.1f}, batches of {batches})"
    )


def _check_installed() -> None:
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--format onnx needs {package}, which is not installed: pip install 'keras_dnnts[onnx]'")


def _export_names(saved: SavedModel, length: int | None, backend: str) -> tuple[Any, list[Inputs], Any]:
    from keras_dnnts.export.graph import build_model
    from keras_dnnts.studies.names.onnx_graph import build_names_graph

    config = saved.config
    assert isinstance(config, NamesConfig)
    alphabet = checked_alphabet(config.letters)
    length = length or max(LONGEST_REAL_NAME, _longest_name(saved))
    graph = build_names_graph(config.cell, *read_names_weights(saved), length)
    about = (
        f"letters: indices into the metadata's 'letters', each name padded on the right to {length} with "
        f"{len(alphabet)}; lengths: letters of each name, from 1 to {length}; output: natural logarithms of the "
        "probabilities of the metadata's 'classes'"
    )
    proto = build_model(graph, about, {"classes": _to_json(saved.classes), "letters": _to_json(list(alphabet))})
    return proto, [_random_names(batch, length, len(alphabet)) for batch in VERIFIED_BATCHES], _load(saved, backend)


def _longest_name(saved: SavedModel) -> int:
    # Runs of earlier versions do not say.
    longest = saved.result.dataset["counts"].get("longest_name")
    return longest if isinstance(longest, int) else 0


def _random_names(batch: int, length: int, letters: int) -> Inputs:
    rng = random_stream(0, Purpose.EXPORT_CHECK, batch)
    return {
        "letters": rng.integers(0, letters, (batch, length), dtype=np.int32),
        "lengths": rng.integers(1, length, batch, dtype=np.int32, endpoint=True),
    }


def _export_images(saved: SavedModel, backend: str) -> tuple[Any, list[Inputs], Any]:
    config = saved.config
    assert isinstance(config, CifarConfig)
    size = config.image_size
    model = _in_float32(_load(saved, backend), saved)
    from keras_dnnts.export.graph import build_model
    from keras_dnnts.studies.cifar.onnx_graph import build_image_graph

    about = (
        f"images: RGB, values 0 to 255 divided by 127.5, minus 1, resized (bilinear, antialiased) to {size}x{size}; "
        "output: logits of the metadata's 'classes'"
    )
    proto = build_model(build_image_graph(model), about, {"classes": _to_json(saved.classes)})
    return proto, [_random_images(batch, size) for batch in VERIFIED_BATCHES], model


def _random_images(batch: int, size: int) -> Inputs:
    rng = random_stream(0, Purpose.EXPORT_CHECK, batch)
    return {"images": rng.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)}


def _load(saved: SavedModel, backend: str) -> Any:
    return load_keras_model(saved, backend)


def _in_float32(model: Any, saved: SavedModel) -> Any:
    """The same weights in a network that computes in float32, whatever the run's ``--precision`` was."""
    from keras_dnnts import models

    config = saved.config
    assert isinstance(config, CifarConfig)
    build = {"alexnet": models.build_alexnet, "resnet50": models.build_resnet50}[config.arch]
    exact = build(config.image_size, len(saved.classes), config.width)
    try:
        exact.set_weights(model.get_weights())
    except ValueError as error:
        raise UserError(f"{saved.path}: is not the model that {saved.path.parent} describes; put that back") from error
    return exact


def _write(proto: Any, inputs: list[Inputs], model: Any, path: Path) -> tuple[float, float]:
    """Write the file if it computes what the model does; return the largest difference and the largest output."""
    import onnx

    try:
        with whole_file(path) as unfinished:
            onnx.save(proto, unfinished)
            onnx.checker.check_model(unfinished, full_check=True)
            difference, largest = _compare(unfinished, inputs, model)
            if not difference <= LARGEST_DIFFERENCE * max(1.0, largest):
                raise UserError(
                    f"{path}: is not written, for its outputs differ from the model's by {difference:.1e}: export with "
                    "another --backend, and report this"
                )
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another --out") from error
    return difference, largest


def _compare(path: Path, inputs: list[Inputs], model: Any) -> tuple[float, float]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    differences, outputs = [], []
    for arrays in inputs:
        (found,) = session.run(None, arrays)
        expected = np.asarray(model.predict_on_batch(list(arrays.values()) if len(arrays) > 1 else arrays["images"]))
        differences.append(np.abs(found - expected).max())
        outputs.append(np.abs(expected).max())
    return float(max(differences)), float(max(outputs))


def _describe(proto: Any) -> str:
    def shape(value: Any) -> str:
        sides = (side.dim_param or str(side.dim_value) for side in value.type.tensor_type.shape.dim)
        return f"{value.name} ({', '.join(sides)})"

    return ", ".join(map(shape, proto.graph.input))


def _to_json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)
