"""What a Python program calls in place of the command, for images."""

from pathlib import Path

from rich.console import Console

from keras_dnnts.library import run
from keras_dnnts.results import Result
from keras_dnnts.studies.cifar.config import CifarConfig


def run_cifar(config: CifarConfig, folder: str | Path | None = None, console: Console | None = None) -> Result:
    """Train, evaluate and illustrate a convolutional network on images: ``keras-dnnts cifar`` without its figures.

    Args:
        config: all options; ``CifarConfig()`` has the command's defaults.
        folder, console: as for :func:`keras_dnnts.run`.

    Raises:
        UserError: data, backend, device or folder cannot be used, or the loss stopped being finite.

    >>> from keras_dnnts import CifarConfig, run_cifar
    >>> small = CifarConfig(dataset="digits", image_size=63, width=0.02, train_images=128, epochs=1, embedding_images=9)
    >>> result = run_cifar(small)
    >>> result.metrics["epochs_run"].values
    (1.0,)
    """
    return run(config, folder, console)
