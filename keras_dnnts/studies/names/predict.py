"""What a names model says of names: in NumPy, long before an engine would have been imported, or through Keras."""

import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_dnnts.datasets.alphabets import is_usable, read_name
from keras_dnnts.datasets.folders import find_wrong_encoding
from keras_dnnts.datasets.letters import MAX_LINE_LETTERS, encode
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.predict import STDIN, Prediction, most_probable
from keras_dnnts.running.ensembles import find_member
from keras_dnnts.running.saved_models import SavedModel, load_keras_model, read_arrays
from keras_dnnts.studies.names.baselines import load_baseline
from keras_dnnts.studies.names.config import CELLS, NamesConfig
from keras_dnnts.studies.names.decisions import change_prior, prior_of
from keras_dnnts.studies.names.ensemble import Ensemble, LogProbabilities, read_ensemble
from keras_dnnts.studies.names.members import read_members
from keras_dnnts.studies.names.numpy_model import NumpyNamesModel

BLOCK_SIZE = 8192  # names read before the first is answered: batches of each length are then large
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
_RECURRENT, _HEAD = "layers/recurrent/vars", "layers/dense/vars"


def predict(
    saved: SavedModel,
    inputs: Sequence[str],
    file: Path | None,
    top: int,
    backend: str | None,
    device: str,
    prior: str | None = None,
) -> Iterator[list[Prediction]]:
    """Yield what a run's model says of names, a block at a time.

    Names are spelled as those that the run was trained on.

    Args:
        saved: the model.
        inputs: names, or ``-`` for the lines of stdin.
        file: names, one a line.
        top: number of guesses.
        prior: how frequent classes are taken to be, one of ``PRIORS``; None is as the model was trained.
        backend, device: for a model that is not one of this package's.

    Raises:
        UserError: the model or an input cannot be used.
    """
    # Whoever started the program may have given it no stdin.
    stdin = None if sys.stdin is None else sys.stdin.buffer
    names = read_names(inputs, file, stdin)
    answer = build_answerer(saved, top, backend, device, prior)
    while block := list(itertools.islice(names, BLOCK_SIZE)):
        yield answer(block)


def build_answerer(
    saved: SavedModel, top: int, backend: str | None = None, device: str = "auto", prior: str | None = None
) -> Callable[[Sequence[str]], list[Prediction]]:
    """Load a run's model and return what answers names, as :func:`predict_names` does.

    Raises:
        UserError: the model is damaged, or is not the one that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    model = load_predictor(saved, backend, device)
    if prior is not None:
        model = _under_prior(model, saved, prior)
    return lambda names: predict_names(model, names, config.alphabet, saved.classes, top, raw=config.is_raw)


def _under_prior(model: LogProbabilities, saved: SavedModel, prior: str) -> LogProbabilities:
    """The same under other class frequencies, from what the run recorded of its training.

    Raises:
        UserError: it recorded nothing.
    """
    arrays, row = saved.result.arrays, saved.seed - saved.config.seed
    if not {"trained_share", "training_names"} <= arrays.keys():
        raise UserError(
            f"{saved.path.parent}: is a run of an earlier version, which did not keep how frequent its classes were: "
            f"leave {option_name('prior')} out, or run it again"
        )
    trained, wanted = arrays["trained_share"][row], prior_of(prior, arrays["training_names"][row])
    return lambda letters, lengths: change_prior(model(letters, lengths), trained, wanted)


def load_predictor(saved: SavedModel, backend: str | None = None, device: str = "auto") -> LogProbabilities:
    """Read what computes a run's log-probabilities: NumPy for this package's models, Keras for others.

    Raises:
        UserError: the model is damaged, or is not the one that the run's results describe.
    """
    assert isinstance(saved.config, NamesConfig)
    if saved.config.is_ensemble:
        return _load_ensemble(saved, backend, device)
    if saved.config.is_baseline:
        return _load_baseline(saved)
    if saved.config.model in CELLS:
        return load_numpy_model(saved).log_probabilities
    model = load_keras_model(saved, backend or saved.config.backend, device)
    # Imported once the engine has started.
    evaluate = importlib.import_module("keras_dnnts.studies.names.evaluate")
    return lambda letters, lengths: evaluate.predict_log_probabilities(model, letters, lengths)


def _load_ensemble(saved: SavedModel, backend: str | None, device: str) -> LogProbabilities:
    named = [model for _, model in read_members(saved.config.model)]
    weights, shares = read_ensemble(saved.path, len(named), len(saved.classes))
    members = [find_member(saved, number) for number in range(len(named))]
    for member, model in zip(members, named, strict=True):
        if member.config.model != model:
            raise UserError(f"{member.path}: is not of {model}, as this run's is; restore it")
    models = [load_predictor(member, backend or saved.config.backend, device) for member in members]
    return Ensemble(models, weights, shares).log_probabilities


def _load_baseline(saved: SavedModel) -> LogProbabilities:
    config = saved.config
    assert isinstance(config, NamesConfig)
    return load_baseline(config.model, saved.path, config.alphabet, len(saved.classes)).log_probabilities


def read_names(inputs: Sequence[str], file: Path | None, stdin: BinaryIO | None) -> Iterator[str]:
    """Yield names: the arguments, ``-`` among them being the lines of ``stdin``, then the lines of ``file``.

    With neither, the lines of ``stdin``. Blank lines are no names.

    Raises:
        UserError: there is nothing to read, an argument is a file, ``file`` cannot be read, or a line is not UTF-8.
    """
    if not inputs and file is None:
        if stdin is None or stdin.isatty():
            raise UserError(
                f"nothing to predict: give names, {option_name('file')} FILE, or pipe names in, one per line"
            )
        inputs = [STDIN]
    for text in inputs:
        if text != STDIN:
            _check_is_name(text)
    for text in inputs:
        if text != STDIN:
            # The bytes of an argument may be no text at all.
            yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        elif stdin is None:
            raise UserError(f"{STDIN} stands for names from stdin, which is closed: give names, or a file of them")
        else:
            yield from _read_lines(stdin, "stdin")
    if file is not None:
        with _open(file) as lines:
            yield from _read_lines(lines, str(file))


def _check_is_name(text: str) -> None:
    """Ask what is meant where an argument is the name of a file.

    Raises:
        UserError: it is.
    """
    path = Path(text)
    try:
        is_file, is_folder = path.is_file(), os.sep in text and path.is_dir()
    except (OSError, ValueError):  # too long for a path, or none
        return
    if is_folder:
        raise UserError(f"{text} is a folder: give {option_name('file')} with a file of names, one per line")
    if is_file:
        raise UserError(
            f"{text} is a file: give {option_name('file')} {text} to read the names in it, or {STDIN} and the text on "
            "stdin if it is a name"
        )


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise UserError(
            f"{option_name('file')} {file}: cannot be read ({error.strerror}); name a file with one name per line"
        ) from error


def _read_lines(lines: BinaryIO, where: str) -> Iterator[str]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            if problem := find_wrong_encoding(line):
                raise UserError(f"{where}, line {number}: {problem}; convert it to UTF-8")
            text = line.decode("utf-8")
            # As in text mode, "\n", "\r\n" and "\r" end lines; unlike there, a wrong byte's line is known.
            for name in (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\n").split("\r"):
                if name.strip():
                    yield name
    except UnicodeDecodeError as error:
        raise UserError(f"{where}, line {number}: not UTF-8 (byte {error.start} of it); convert it to UTF-8") from error
    except OSError as error:
        raise UserError(f"{where}, after line {number}: cannot be read ({error.strerror})") from error


def load_numpy_model(saved: SavedModel) -> NumpyNamesModel:
    """Read a names model from its ``.keras`` file.

    Raises:
        UserError: the file is damaged, or is not the model that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    recurrent, head = read_names_weights(saved)
    return NumpyNamesModel(config.model, recurrent, head)


def predict_names(
    model: LogProbabilities,
    names: Sequence[str],
    alphabet: str,
    classes: Sequence[str],
    top: int,
    raw: bool = False,
) -> list[Prediction]:
    """Return what the model says of each name; of one without a usable letter, or far too long, that it is.

    Args:
        model: computes log-probabilities.
        names: as they were given.
        alphabet: the model's usable letters.
        classes: K names in the order of the model's outputs.
        top: number of guesses.
        raw: names keep their spelling and the blanks around them, as in a run of the reference's protocol.
    """
    read = [read_name(name, alphabet, raw) for name in names]
    read_as = [text for text, _ in read]
    usable = [i for i, text in enumerate(read_as) if is_usable(names[i], text) and len(text) <= MAX_LINE_LETTERS]
    guesses: dict[int, tuple[tuple[str, float], ...]] = {}
    if usable:
        letters, lengths = encode([read_as[i] for i in usable], alphabet)
        of_usable = most_probable(model(letters, lengths), classes, top)
        guesses = dict(zip(usable, of_usable, strict=True))
    return [
        Prediction(
            name,
            guesses.get(i, ()),
            read_as=text,
            ignored=tuple(left_out),
            problem=None if i in guesses else _problem(name, text),
        )
        for i, (name, (text, left_out)) in enumerate(zip(names, read, strict=True))
    ]


def _problem(name: str, read_as: str) -> str:
    return f"longer than {MAX_LINE_LETTERS} letters" if is_usable(name, read_as) else "no usable letter"


def read_names_weights(saved: SavedModel) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read the weights of the recurrent layer and of the dense one, each in its layer's order.

    Raises:
        UserError: the file is damaged, or is not the model that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    assert config.hidden_units is not None
    units, rows, classes = config.hidden_units, GATES[config.model] * config.hidden_units, len(saved.classes)
    width = len(config.alphabet) + 1
    recurrent = _numbered(_RECURRENT, (rows, width), (rows, units), (rows,), (rows,))
    head = _numbered(_HEAD, (units, classes), (classes,))
    arrays = read_arrays(saved.path, recurrent | head)
    return [arrays[name] for name in recurrent], [arrays[name] for name in head]


def _numbered(folder: str, *shapes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{folder}/{number}": shape for number, shape in enumerate(shapes)}
