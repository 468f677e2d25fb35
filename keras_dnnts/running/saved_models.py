"""The models that a finished run left behind: found, read as arrays without an engine, or loaded by Keras."""

import importlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.config import Config, config_from_dict
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import check_code, load_layers
from keras_dnnts.results import RESULTS, Result, load_result
from keras_dnnts.running.runtime import choose_backend, start_engine

WEIGHTS = "model.weights.h5"
KERAS_MODEL, ARRAYS_MODEL = ".keras", ".npz"
# A small zip can unpack to any size; the largest model here (AlexNet, float32) has 228 MB.
LARGEST_WEIGHTS_BYTES = 4 * 2**30


@dataclass(frozen=True)
class SavedModel:
    """One seed's model of a finished run.

    Attributes:
        path: the ``.keras`` file, or the ``.npz`` file of a model that was not trained on an engine.
        seed: the seed.
        result: what the run found.
        config: the run's config.
        classes: K class names in the order of the model's outputs.
        code: where the model comes from a person's own code, that code as it was named again; None otherwise.
    """

    path: Path
    seed: int
    result: Result
    config: Config
    classes: tuple[str, ...]
    code: str | None = None


def find_saved_model(run: Path, seed: int | None = None, code: str | None = None) -> SavedModel:
    """Find a seed's model in a run directory; None is the first seed.

    A run never says by itself what code is to be run: where its model came from a person's own, ``code`` names that
    again, and must be what the run was trained with.

    Raises:
        UserError: there is no finished run, its results are damaged, or it has no such seed or model; the model's code
            is not named, or has changed.
    """
    result = load_result(run)
    config = config_from_dict(result.config, where=str(run / RESULTS))
    classes = tuple(result.dataset["classes"])
    chosen = config.seed if seed is None else seed
    if chosen not in config.all_seeds:
        raise UserError(
            f"{option_name('seed')} {chosen}: {run} has seed {' and '.join(map(str, _ends(config.all_seeds)))} only"
        )
    path = run / f"model-seed-{chosen}{KERAS_MODEL if result.study.trains(result.config) else ARRAYS_MODEL}"
    if not path.is_file():
        raise UserError(f"{path}: is missing; put it back, or run the experiment again")
    check_code(config, code, run)
    return SavedModel(path, chosen, result, config, classes, code)


def _ends(seeds: range) -> list[int]:
    return sorted({seeds[0], seeds[-1]})


def read_arrays(path: Path, shapes: Mapping[str, tuple[int | None, ...]], kind: str = "f") -> dict[str, np.ndarray]:
    """Read arrays out of a ``.keras`` file, without Keras.

    Args:
        path: the file.
        shapes: the arrays wanted, by their names in the file's HDF5 part, such as ``"layers/dense/vars/0"``; None is
            any length.
        kind: ``"f"`` for finite numbers, float32, or ``"i"`` for whole ones, int64.

    Raises:
        UserError: the file is no Keras model, is damaged, or lacks one of the arrays.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(WEIGHTS).file_size > LARGEST_WEIGHTS_BYTES:
                raise ValueError(f"{WEIGHTS} has more than {LARGEST_WEIGHTS_BYTES} bytes")
            content = io.BytesIO(archive.read(WEIGHTS))
        with h5py.File(content, "r") as weights:
            return {name: _read_array(weights, name, shape, kind) for name, shape in shapes.items()}
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: is damaged or not the model of this run ({reason}); run it again") from error


def _read_array(weights: Any, name: str, shape: tuple[int | None, ...], kind: str) -> np.ndarray:
    import h5py

    parts = name.split("/")
    # HDF5 can point at other files of the reader's machine: only what lies in this one is read.
    for depth in range(1, len(parts) + 1):
        link = weights.get("/".join(parts[:depth]), getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"no array {name!r}")
    array = weights[name]
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"no array {name!r}")
    fits = len(array.shape) == len(shape) and all(map(_fits, shape, array.shape))
    if not fits or array.dtype.kind != kind:
        expected = "float32" if kind == "f" else "int32"
        raise ValueError(f"array {name!r} is {array.dtype} {array.shape}, not {expected} {shape}")
    values = array[()].astype(np.float32 if kind == "f" else np.int64)
    if not np.isfinite(values).all():
        raise ValueError(f"array {name!r} has numbers that are not finite")
    return values


def _fits(wanted: int | None, size: int) -> bool:
    return wanted is None or wanted == size


def load_keras_model(saved: SavedModel, backend: str, device: str = "auto") -> Any:
    """Load a saved model on an engine, in Keras's safe mode.

    Raises:
        UserError: engine or device are not there, or the file is damaged.
    """
    choose_backend(backend, device)
    start_engine()
    saved.result.study.register_layers()
    layers = load_layers(saved.code) if saved.code else {}
    return read_keras_file(saved.path, layers)


def read_keras_file(path: Path, layers: Mapping[str, Any]) -> Any:
    """Load a ``.keras`` file in Keras's safe mode; the engine has been started.

    Args:
        path: the file.
        layers: what Keras must know to load it beside this package's own layers, by name.

    Raises:
        UserError: the file is damaged.
    """
    keras = importlib.import_module("keras")  # not before its engine is chosen
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_WEIGHTS_BYTES:
                raise ValueError(f"it unpacks to more than {LARGEST_WEIGHTS_BYTES} bytes")
        return keras.saving.load_model(path, compile=False, safe_mode=True, custom_objects=dict(layers))
    # Keras raises whatever a damaged file leads it to.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: is damaged or not a model of this program ({reason}); run it again") from error
