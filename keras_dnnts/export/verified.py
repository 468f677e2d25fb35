"""A run's model as ONNX, compared with the model itself before it is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.export import Exported, Inputs, check_installed
from keras_dnnts.export.own import ENGINE
from keras_dnnts.own_models import is_own_model
from keras_dnnts.running.saved_models import KERAS_MODEL, SavedModel, find_saved_model
from keras_dnnts.whole_files import whole_file

LARGEST_DIFFERENCE = 1e-4  # of outputs, relative to the largest of them where that exceeds 1


@dataclass(frozen=True)
class Written:
    """An ONNX file that computes what the Keras model does.

    Attributes:
        path: the file.
        saved: the model it was made from.
        inputs: the names of its inputs with their shapes, in words.
        difference: the largest difference of an output from the Keras model's.
        largest: the largest output.
    """

    path: Path
    saved: SavedModel
    inputs: str
    difference: float
    largest: float


def export_verified(
    run: Path,
    out: Path | None = None,
    seed: int | None = None,
    length: int | None = None,
    backend: str | None = None,
    code: str | None = None,
) -> Written:
    """Write a run's model as ONNX, unless its outputs differ from the model's.

    Args:
        run: the run directory.
        out: file to write; None is beside the model.
        seed: whose model; None is the first.
        length: for a model of sequences, their padded length; None is the study's choice.
        backend: engine to compare with; None is the run's own, or PyTorch for a model of a person's own.
        code: where the model comes from a person's own code, that code, named again.

    Raises:
        UserError: the run, its model or ``out`` cannot be used, a package is missing, or the outputs differ.
    """
    saved = find_saved_model(run, seed, code)
    if saved.path.suffix != KERAS_MODEL:
        raise UserError(f"{run}: its model is {saved.config.model}, which is no network: only networks can be exported")
    check_installed("onnx", "onnxruntime")
    if out is not None and out.exists():
        raise UserError(f"{option_name('out')} {out}: already exists; name another file")
    path = out or saved.path.with_suffix(".onnx")
    if saved.result.study.export is None:
        raise UserError(f"{run}: models of this study cannot be exported")
    backend = backend or (ENGINE if is_own_model(saved.config.model) else saved.config.backend)
    exported: Exported = saved.result.study.export(saved, length, backend)
    difference, largest = _write(exported.proto, exported.inputs, exported.model, path)
    return Written(path, saved, _describe(exported.proto), difference, largest)


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
                    f"{path}: was not written, because its outputs differ from the model's by {difference:.1e}: export "
                    f"with another {option_name('backend')}, and report this"
                )
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another {option_name('out')}") from error
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
