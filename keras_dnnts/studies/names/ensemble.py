"""Models of names put together: the weighted sum of their log-probabilities, all under one prior."""

import dataclasses
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.analysis import log_softmax
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names.config import BATCHED_DEFAULTS, NETWORK_DEFAULTS, NamesConfig
from keras_dnnts.studies.names.decisions import change_prior
from keras_dnnts.studies.names.members import name_members
from keras_dnnts.whole_files import write_whole

LogProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Letters (N, T) int32 and lengths (N,) int32 to log-probabilities (N, K) float32."""
LARGEST_BYTES = 2**20


class Ensemble:
    """Models together: with weights w and models m, each with the class frequencies of its own training, ::

        log P(class | name) = sum of w log P_m(class | name) over m + constant

    where every P_m has been brought to even class frequencies first (Bayes' rule): models that saw frequencies as they
    are would otherwise count these as often as their weights add up to, beside others that saw none. The sum then has
    even frequencies too, and any others can take their place once.

    Args:
        models: M functions of letters and lengths.
        weights: (M,) float, above 0.
        shares: (M, K) float, how frequent each class was in each model's training; above 0.
    """

    def __init__(self, models: Sequence[LogProbabilities], weights: np.ndarray, shares: np.ndarray) -> None:
        self.models, self.weights, self.shares = models, weights, shares

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, K) float32 log-probabilities of names (N, T) int32 with lengths (N,) int32."""
        even = np.ones(self.shares.shape[1])
        said = [
            weight * change_prior(model(letters, lengths), shares, even)
            for model, weight, shares in zip(self.models, self.weights, self.shares, strict=True)
        ]
        return log_softmax(np.sum(said, axis=0)).astype(np.float32)


def ensemble_config(configs: Sequence[NamesConfig], weights: Sequence[float]) -> NamesConfig:
    """Return the config of runs that are put together: the first one's data and seeds, and no setting of a network."""
    model = name_members([config.model for config in configs], weights)
    changes: dict[str, Any] = {"model": model, **dict.fromkeys(NETWORK_DEFAULTS | BATCHED_DEFAULTS)}
    return dataclasses.replace(configs[0], **changes)


def save_ensemble(ensemble: Ensemble, path: Path) -> None:
    """Write weights and class frequencies, without pickle, whole or not at all; the models are kept beside it."""
    arrays = {"weights": ensemble.weights, "shares": ensemble.shares}
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))  # type: ignore[arg-type]


def read_ensemble(path: Path, members: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (M,) and class frequencies (M, K) that :func:`save_ensemble` wrote.

    Raises:
        UserError: the file is missing or damaged, or is not of so many members and classes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_BYTES:
                raise ValueError(f"it unpacks to more than {LARGEST_BYTES} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return _positive(arrays["weights"], members), _positive(arrays["shares"], members, classes)
    # Damage shows in the zip, in an array's header or in its values.
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: is damaged or not the model of this run ({reason}); run it again") from error


def _positive(array: np.ndarray, *shape: int) -> np.ndarray:
    if array.shape != shape or array.dtype.kind != "f" or not ((array > 0) & np.isfinite(array)).all():
        raise ValueError(f"an array is {array.dtype} {array.shape}, not {shape} positive numbers")
    return array
