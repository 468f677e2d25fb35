"""A trained network on a person's images, prepared as a run's evaluation prepares them where it does not augment."""

import importlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.analysis import log_softmax
from keras_dnnts.datasets.archives import UnusableFileError, iterate_members, read_file
from keras_dnnts.datasets.image_folders import (
    IMAGE_SUFFIXES,
    LARGEST_DECODED_BYTES,
    decode_image,
    fit_image,
    strict_decoding,
)
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.predict import STDIN, Prediction, most_probable
from keras_dnnts.running.saved_models import SavedModel, load_keras_model
from keras_dnnts.studies.cifar.config import CifarConfig

logger = logging.getLogger("keras_dnnts")


def predict(
    saved: SavedModel, inputs: Sequence[str], file: Path | None, top: int, backend: str | None, device: str
) -> Iterator[list[Prediction]]:
    """Yield what a network says of images, in one block; of those that cannot be read, why.

    Args:
        saved: the network.
        inputs: image files and folders of them.
        file: None; only names are read from files.
        top: number of guesses.
        backend: engine, any; None is the run's own.
        device: where to compute.

    Raises:
        UserError: there is no input or one is missing, engine or device are not there, or the network is damaged or not
            the one the results describe.
    """
    if file is not None or STDIN in inputs:
        advice = f"give files or folders; {option_name('file')} and - are for names"
        raise UserError(f"{saved.path.parent}: is a model of images: {advice}")
    if not inputs:
        raise UserError("nothing to predict: give images or folders of images")
    config = saved.config
    assert isinstance(config, CifarConfig) and config.image_size is not None
    # Before an engine starts, which takes seconds, mistakes in the inputs are known.
    paths, images, problems = read_images(inputs, *image_shape(saved), config.image_size)
    guesses: Iterator[tuple[tuple[str, float], ...]] = iter(())
    if len(images):
        log_probabilities = predict_log_probabilities(saved, images, backend or config.backend, device)
        guesses = iter(most_probable(log_probabilities, saved.classes, top))
    yield [Prediction(path, () if path in problems else next(guesses), problem=problems.get(path)) for path in paths]


def image_shape(saved: SavedModel) -> tuple[int, int]:
    """Height and width of the images of the run's data set before they are resized.

    Raises:
        UserError: its results do not say.
    """
    shape = saved.result.dataset.get("image_shape")
    if shape is None:  # runs of earlier versions only show images of this shape
        shown = saved.result.arrays.get("activation_image")
        shape = list(shown.shape[1:3]) if shown is not None and shown.ndim == 4 else None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(side) is int and side > 0 for side in shape)):
        raise UserError(f"{saved.path.parent}: its results lack image_shape; run the experiment again")
    return shape[0], shape[1]


def predict_log_probabilities(saved: SavedModel, images: np.ndarray, backend: str, device: str) -> np.ndarray:
    """Return (N, K) float32 log-probabilities of images (N, H, W, 3) uint8.

    Args:
        saved: the network.
        images: of the shape of the run's data set.
        backend: engine, any.
        device: where to compute.

    Raises:
        UserError: engine or device are not there, or the network is damaged or not the one the results describe.
    """
    config = saved.config
    assert isinstance(config, CifarConfig)
    model = load_network(saved, backend, device)
    # Both import Keras, whose engine has been chosen only now.
    evaluate = importlib.import_module("keras_dnnts.studies.cifar.evaluate")
    image_batches = importlib.import_module("keras_dnnts.studies.cifar.image_batches")
    labels = np.zeros(len(images), np.int32)
    batches = image_batches.ImageBatches((images, labels), config.batch_size, config.image_size)
    return log_softmax(evaluate.predict(model, batches))


def load_network(saved: SavedModel, backend: str, device: str = "auto") -> Any:
    """Load a run's network, a functional Keras model.

    Raises:
        UserError: engine or device are not there, or the network is damaged or not the one the results describe.
    """
    config = saved.config
    assert isinstance(config, CifarConfig)
    model = load_keras_model(saved, backend, device)
    size, classes = config.image_size, len(saved.classes)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    taken = [(None, side, side, 3) for side in (size, None)]  # the second takes images of any size
    if shapes[0] not in taken or shapes[1] != (None, classes):
        raise UserError(f"{saved.path}: is not the model that {saved.path.parent} describes; restore it")
    return model


def read_images(
    inputs: Sequence[str], height: int, width: int, largest_side: int
) -> tuple[list[str], np.ndarray, dict[str, str]]:
    """Read image files, and all image files in folders, as a data set of images of this shape is read.

    Args:
        inputs: files and folders.
        height, width: of the images a model was trained on, before they were resized for it.
        largest_side: pixels; what the run's ``image_size`` was.

    Returns:
        all files' paths, those of a folder sorted; images (N, height, width, 3) uint8 of those that can be read; and
        why the others cannot, by path.

    Raises:
        UserError: a path does not exist, a folder holds no images, or together they are too large.
    """
    unreadable: dict[str, str] = {}
    paths = [path for text in inputs for path in _find_images(Path(text), unreadable)]
    if len(paths) * height * width * 3 > LARGEST_DECODED_BYTES:
        raise UserError(f"{len(paths)} images decode to more than {LARGEST_DECODED_BYTES} bytes: predict fewer at once")

    def read(path: Path) -> np.ndarray | UnusableFileError:
        try:
            image = decode_image(_read_bytes(path), str(path), largest_side)
        except UnusableFileError as error:
            return error
        return image if image.shape[:2] == (height, width) else fit_image(image, height, width)

    with ThreadPoolExecutor() as pool, strict_decoding():
        found = list(pool.map(read, paths))
    images = [image for image in found if isinstance(image, np.ndarray)]
    problems = {
        str(path): error.problem
        for path, error in zip(paths, found, strict=True)
        if isinstance(error, UnusableFileError)
    }
    stacked = np.stack(images) if images else np.empty((0, height, width, 3), np.uint8)
    return [*map(str, paths), *unreadable], stacked, problems | unreadable


def _find_images(path: Path, unreadable: dict[str, str]) -> list[Path]:
    """The image itself, or those in a folder; adds the subfolders that cannot be entered, with their problems."""
    try:
        path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); name an image or a folder of images") from error
    if not path.is_dir():
        return [path]
    members = list(iterate_members(path))
    problems = {str(path / member.path): member.problem for member in members if member.problem is not None}
    unreadable.update(problems)
    found = [path / member.path for member in members if member.read is not None]
    images = sorted(file for file in found if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images and not problems:
        raise UserError(f"{path}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); name another folder or a file")
    if others := len(found) - len(images):
        files = "1 file that is not an image" if others == 1 else f"{others:,} files that are not images"
        logger.warning("%s: skipped %s", path, files)
    return images


def _read_bytes(path: Path) -> bytes:
    # A shell's <(command) is a pipe on purpose.
    return path.read_bytes() if path.is_relative_to("/dev/fd") else read_file(path)
