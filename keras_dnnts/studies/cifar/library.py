"""What a Python program calls in place of the command, for images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_dnnts.errors import UserError
from keras_dnnts.library import run
from keras_dnnts.predict import Prediction
from keras_dnnts.results import Result
from keras_dnnts.running.saved_models import find_saved_model
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.predict import predict


def run_cifar(
    config: CifarConfig,
    folder: str | Path | None = None,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
) -> Result:
    """Train, evaluate and illustrate a convolutional network on images: ``keras-dnnts cifar`` without its figures.

    Args:
        config: all options; ``CifarConfig()`` has the command's defaults.
        folder, console, overwrite, resume, callbacks: as for :func:`keras_dnnts.run`.

    Raises:
        UserError: as for :func:`keras_dnnts.run`.

    >>> from keras_dnnts import CifarConfig, run_cifar
    >>> small = CifarConfig(dataset="digits", image_size=63, width=0.02, train_images=128, epochs=1, embedding_images=9)
    >>> result = run_cifar(small)
    >>> result.metrics["epochs_run"].values
    (1.0,)
    """
    return run(config, folder, console, overwrite=overwrite, resume=resume, callbacks=callbacks)


def predict_images(
    run: str | Path,
    images: Sequence[str | Path],
    top: int = 3,
    seed: int | None = None,
    backend: str | None = None,
    device: str = "auto",
    arch: str | None = None,
) -> list[Prediction]:
    """Ask a finished image run for the classes of images: ``keras-dnnts predict``.

    Args:
        run: the run directory.
        images: image files, and folders of them.
        top: number of guesses an image.
        seed: whose model; None for the run's first.
        backend: engine; None is the run's own.
        device: where to compute.
        arch: of a run whose model comes from your own code, that code again.

    Raises:
        UserError: there is no such run or model, it is one of another study, or an input cannot be used.

    >>> from keras_dnnts import predict_images
    >>> photo, = predict_images("runs/digits", ["photos/one.png"], top=2)
    >>> photo.input, len(photo.guesses)
    ('photos/one.png', 2)
    """
    saved = find_saved_model(Path(run), seed, arch)
    if not isinstance(saved.config, CifarConfig):
        raise UserError(f"{run}: is not a model of images")
    paths = [str(image) for image in images]
    return [
        one for block in predict(saved, paths, None, min(top, len(saved.classes)), backend, device) for one in block
    ]
