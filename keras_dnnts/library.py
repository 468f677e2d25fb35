"""What a Python program calls in place of the commands."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from keras_dnnts.config import Config
from keras_dnnts.results import Result
from keras_dnnts.running.run import run_study
from keras_dnnts.running.run_directory import RunDirectory


def run(config: Config, folder: str | Path | None = None, console: Console | None = None) -> Result:
    """Train, evaluate and illustrate the models of a config: the study's command without its figures.

    Args:
        config: all options; a study's config without arguments has its command's defaults.
        folder: where config, history, models and results go; new or empty. None leaves no files.
        console: shows progress, e.g. ``rich.console.Console()``; None shows none.

    Raises:
        UserError: data, backend, device or folder cannot be used, or the loss stopped being finite.

    >>> from keras_dnnts import NamesConfig, run
    >>> result = run(NamesConfig(dataset="starter", cell="rnn", hidden_units=8, iterations=200))
    >>> 0 <= result.metrics["held_out_accuracy_by_class"].mean <= 1
    True
    """
    with _directory(folder, config.experiment) as directory:
        return run_study(config, directory, console)


@contextlib.contextmanager
def _directory(folder: str | Path | None, label: str) -> Iterator[RunDirectory]:
    if folder is not None:
        yield RunDirectory.new(Path(folder), label)
        return
    with tempfile.TemporaryDirectory(prefix="keras-dnnts-") as temporary:
        yield RunDirectory.new(Path(temporary) / "run", label)
