"""``keras-dnnts predict``: a run's model, inputs, an answer each. Imports no engine for names."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from keras_dnnts.config import CifarConfig, NamesConfig
from keras_dnnts.datasets.letters import checked_alphabet
from keras_dnnts.errors import UserError
from keras_dnnts.predict import Prediction, most_probable
from keras_dnnts.predict.inputs import STDIN, read_images, read_names
from keras_dnnts.predict.output import WRITERS
from keras_dnnts.running.saved_models import SavedModel, find_saved_model
from keras_dnnts.studies.cifar.predict import image_shape, predict_log_probabilities
from keras_dnnts.studies.names.predict import load_numpy_model, predict_names

BLOCK_SIZE = 8192  # names read before the first is answered: batches of each length are then large

Blocks = Iterator[list[Prediction]]


def predict_and_print(
    run: Path,
    inputs: Sequence[str],
    file: Path | None,
    *,
    seed: int | None,
    top: int,
    output: str,
    backend: str | None,
    device: str,
) -> None:
    """Print what a run's model says of the inputs.

    Args:
        run: the run directory.
        inputs: names or ``-``, or images and folders of them.
        file: names, one a line.
        seed: whose model; None is the first.
        top: number of guesses.
        output: ``"table"``, ``"json"`` or ``"csv"``.
        backend: engine for images; None is the run's own.
        device: where to compute, for images.

    Raises:
        UserError: the run or an input cannot be used.
    """
    saved = find_saved_model(run, seed)
    top = min(top, len(saved.classes))
    if isinstance(saved.config, NamesConfig):
        blocks = _predict_names(saved, inputs, file, top)
    else:
        if file is not None or STDIN in inputs:
            raise UserError(f"{run}: is a model of images: give files or folders; --file and - are for names")
        blocks = _predict_images(saved, inputs, top, backend, device)
    # The first block before anything is written: a mistake in the inputs then leaves nothing on stdout.
    first = next(blocks, None)
    if first is None:
        raise UserError("nothing to predict: there is no name in the input")
    WRITERS[output](itertools.chain([first], blocks), saved, top, _utf8(sys.stdout))


def _utf8(out: TextIO) -> TextIO:
    if hasattr(out, "reconfigure"):
        out.reconfigure(encoding="utf-8", errors="replace")
    return out


def _predict_names(saved: SavedModel, inputs: Sequence[str], file: Path | None, top: int) -> Blocks:
    assert isinstance(saved.config, NamesConfig)
    alphabet = checked_alphabet(saved.config.letters)
    model = load_numpy_model(saved)
    names = read_names(inputs, file, sys.stdin.buffer)
    while block := list(itertools.islice(names, BLOCK_SIZE)):
        yield predict_names(model, block, alphabet, saved.classes, top)


def _predict_images(saved: SavedModel, inputs: Sequence[str], top: int, backend: str | None, device: str) -> Blocks:
    if not inputs:
        raise UserError("nothing to predict: give images or folders of images")
    assert isinstance(saved.config, CifarConfig)
    # Before an engine starts, which takes seconds, mistakes in the inputs are known.
    paths, images = read_images(inputs, *image_shape(saved), saved.config.image_size)
    log_probabilities = predict_log_probabilities(saved, images, backend or saved.config.backend, device)
    yield [
        Prediction(path, guesses)
        for path, guesses in zip(paths, most_probable(log_probabilities, saved.classes, top), strict=True)
    ]
