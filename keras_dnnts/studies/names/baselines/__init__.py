"""What a network on names has to beat: models that are fitted in seconds, in NumPy and scikit-learn, without an engine.

Each model's module is imported once it is asked for.
"""

import importlib
import zipfile
from pathlib import Path

import numpy as np

from keras_dnnts.errors import UserError
from keras_dnnts.studies.names.baselines.arrays import Arrays
from keras_dnnts.studies.names.baselines.base import Baseline, TrainingNames
from keras_dnnts.studies.names.baselines.letters import Symbols
from keras_dnnts.whole_files import write_whole

_CLASSES = {
    "majority": "majority:MajorityModel",
    "naive-bayes": "naive_bayes:NaiveBayesModel",
    "markov": "markov:MarkovModel",
    "ngram-logistic": "logistic:NgramLogisticModel",
}
LARGEST_BYTES = 2**30  # unpacked; the logistic regression of the real names has 3 MB


def fit_baseline(name: str, names: TrainingNames) -> Baseline:
    """Fit one of :data:`keras_dnnts.studies.names.config.BASELINES` to names."""
    return _class_of(name).fit(names)


def save_baseline(model: Baseline, path: Path) -> None:
    """Write a model's arrays, without pickle, whole or not at all. The same model gives the same bytes."""
    arrays = model.to_arrays()
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))  # type: ignore[arg-type]


def load_baseline(name: str, path: Path, alphabet: str, classes: int) -> Baseline:
    """Read a model that :func:`save_baseline` wrote.

    Raises:
        UserError: the file is missing or damaged, or is not a model of that name, alphabet and number of classes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_BYTES:
                raise ValueError(f"it unpacks to more than {LARGEST_BYTES} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return _class_of(name).from_arrays(Arrays(arrays), Symbols.of_alphabet(alphabet), classes)
    # Damage shows in the zip, in an array's header or in its values.
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: is damaged or not the model of this run ({reason}); run it again") from error


def _class_of(name: str) -> type[Baseline]:
    module, _, class_name = _CLASSES[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
