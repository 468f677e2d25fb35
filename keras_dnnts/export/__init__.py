"""Trained models for programs that know neither this package nor Keras."""

import importlib.util
import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_dnnts.errors import UserError

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Exported:
    """An ONNX model that is not written yet.

    Attributes:
        proto: the model.
        inputs: arrays by name, a dict a batch, on which it is compared with the Keras model.
        model: the Keras model.
    """

    VERIFIED_BATCHES: ClassVar[tuple[int, ...]] = (1, 33)

    proto: Any
    inputs: list[Inputs]
    model: Any


def check_installed(*packages: str) -> None:
    """Check that packages of the extra ``onnx`` are there.

    Raises:
        UserError: one is not.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"export to ONNX needs {package}, which is not installed: pip install 'keras_dnnts[onnx]'")


def to_json(values: Any) -> str:
    """JSON text of plain values, letters as they are."""
    return json.dumps(values, ensure_ascii=False)
