"""What a Python program calls in place of the commands."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from keras_dnnts.config import CifarConfig, NamesConfig
from keras_dnnts.errors import UserError
from keras_dnnts.experiment import cifar, names
from keras_dnnts.predict import Prediction
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import RunDirectory


def run_names(config: NamesConfig, folder: str | Path | None = None, console: Console | None = None) -> Result:
    """Train, evaluate and illustrate a recurrent cell on names: ``keras-dnnts names`` without its figures.

    Args:
        config: all options; ``NamesConfig()`` has the command's defaults.
        folder: where config, history, models and results go; new or empty. None leaves no files.
        console: shows progress, e.g. ``rich.console.Console()``; None shows none.

    Raises:
        UserError: data, backend, device or folder cannot be used, or the loss stopped being finite.

    >>> from keras_dnnts import NamesConfig, run_names
    >>> result = run_names(NamesConfig(dataset="starter", cell="rnn", hidden_units=8, iterations=200))
    >>> 0 <= result.metrics["held_out_accuracy_by_class"].mean <= 1
    True
    """
    with _directory(folder, config.experiment) as directory:
        return names.run_names(config, directory, console)


def run_cifar(config: CifarConfig, folder: str | Path | None = None, console: Console | None = None) -> Result:
    """Train, evaluate and illustrate a convolutional network on images: ``keras-dnnts cifar`` without its figures.

    Args:
        config: all options; ``CifarConfig()`` has the command's defaults.
        folder, console: as for :func:`run_names`.

    Raises:
        UserError: data, backend, device or folder cannot be used, or the loss stopped being finite.

    >>> from keras_dnnts import CifarConfig, run_cifar
    >>> small = CifarConfig(dataset="digits", image_size=63, width=0.02, train_images=128, epochs=1, embedding_images=9)
    >>> result = run_cifar(small)
    >>> result.metrics["epochs_run"].values
    (1.0,)
    """
    with _directory(folder, config.experiment) as directory:
        return cifar.run_cifar(config, directory, console)


def predict_names(run: str | Path, names: Sequence[str], top: int = 3, seed: int | None = None) -> list[Prediction]:
    """Ask a finished names run for the languages of names: ``keras-dnnts predict``, without an engine.

    Args:
        run: the run directory.
        names: in any spelling; letters the model does not know are left out, and said to be.
        top: number of guesses a name.
        seed: whose model; None for the run's first.

    Raises:
        UserError: there is no such run or model, or it is one of images.

    >>> from keras_dnnts import predict_names
    >>> hinton, = predict_names("runs/gru", ["Hinton"], top=2)
    >>> hinton.input, len(hinton.guesses)
    ('Hinton', 2)
    """
    from keras_dnnts.running.saved_models import find_saved_model
    from keras_dnnts.studies.names.predict import load_numpy_model
    from keras_dnnts.studies.names.predict import predict_names as answer

    saved = find_saved_model(Path(run), seed)
    if not isinstance(saved.config, NamesConfig):
        raise UserError(f"{run}: is a model of images")
    return answer(load_numpy_model(saved), names, saved.config.letters, saved.classes, min(top, len(saved.classes)))


@contextlib.contextmanager
def _directory(folder: str | Path | None, label: str) -> Iterator[RunDirectory]:
    if folder is not None:
        yield RunDirectory.new(Path(folder), label)
        return
    with tempfile.TemporaryDirectory(prefix="keras-dnnts-") as temporary:
        yield RunDirectory.new(Path(temporary) / "run", label)
