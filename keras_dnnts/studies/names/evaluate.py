"""What a names model says: names in, log-probabilities and probabilities out."""

from typing import Any, Protocol

import keras
import numpy as np

from keras_dnnts.analysis import softmax
from keras_dnnts.studies.names.config import CELLS
from keras_dnnts.studies.names.models import HEAD, RECURRENT
from keras_dnnts.studies.names.models.recurrent import Recurrent
from keras_dnnts.studies.names.numpy_model import NumpyNamesModel

NAMES_A_BATCH = 256  # whose gates stay in the caches


class Evaluator(Protocol):
    """Computes what a trained model says; see :func:`predict_log_probabilities` and :func:`read_letter_by_letter`."""

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) float32 log-probabilities."""

    def read_letter_by_letter(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, T, K) float32 probabilities after every letter."""


class KerasEvaluator:
    """Computes what any model says through Keras."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) float32 log-probabilities."""
        return predict_log_probabilities(self.model, letters, lengths)

    def read_letter_by_letter(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, T, K) float32 probabilities after every letter."""
        return read_letter_by_letter(self.model, letters, lengths)


def build_evaluator(model: Any, cell: str) -> Evaluator:
    """Return what computes a trained model: NumPy for this package's cells, whatever else keeps the cores busy."""
    return build_numpy_model(model, cell) if cell in CELLS else KerasEvaluator(model)


def build_numpy_model(model: Any, cell: str) -> NumpyNamesModel:
    """Return one of this package's cells, with the weights that it has now, in NumPy."""
    recurrent, head = (model.get_layer(name).get_weights() for name in (RECURRENT, HEAD))
    return NumpyNamesModel(cell, recurrent, head)


def predict_log_probabilities(model: Any, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return (N, K) float32 log-probabilities of names (N, T) int32 with lengths (N,) int32, in large batches.

    Most names are short: those of at most half the padded length go without the other half.

    >>> import numpy as np
    >>> from keras_dnnts import build_char_rnn, predict_log_probabilities
    >>> letters, lengths = np.zeros((5, 7), "int32"), np.full(5, 7, "int32")
    >>> predict_log_probabilities(build_char_rnn("rnn", classes=3), letters, lengths).shape
    (5, 3)
    """
    short = letters.shape[1] // 2
    groups = {short: np.flatnonzero(lengths <= short), letters.shape[1]: np.flatnonzero(lengths > short)}
    log_probabilities = np.empty((len(letters), model.output_shape[-1]), np.float32)
    for length, rows in groups.items():
        if len(rows):
            batch = min(NAMES_A_BATCH, len(rows))
            # Some names twice, so that no batch is smaller: engines that compile do so for every shape they meet.
            filled = np.resize(rows, -(-len(rows) // batch) * batch)
            outputs = model.predict((letters[filled, :length], lengths[filled]), batch_size=batch, verbose=0)
            log_probabilities[rows] = outputs[: len(rows)]
    return log_probabilities


def read_letter_by_letter(model: keras.Model, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return what a model believes after every letter of names.

    Args:
        model: of letters and lengths, to log-probabilities.
        letters: (N, T) int32 letter indices.
        lengths: (N,) int32.

    Returns:
        (N, T, K) float32 probabilities: ``[i, t]`` is what the model would say were letter t the last of name i; NaN
        from a name's end on.

    >>> import numpy as np
    >>> from keras_dnnts import build_char_rnn, read_letter_by_letter
    >>> letters, lengths = np.array([[1, 2, 3], [4, 5, 57]], "int32"), np.array([3, 2], "int32")
    >>> probabilities = read_letter_by_letter(build_char_rnn("gru", classes=4), letters, lengths)
    >>> probabilities.shape, bool(np.isnan(probabilities[1, 2]).all())
    ((2, 3, 4), True)
    """
    if any(layer.name == RECURRENT and isinstance(layer, Recurrent) for layer in model.layers):
        logits = model.get_layer(HEAD)(model.get_layer(RECURRENT).output)
        reader = keras.Model(model.inputs[0], logits)
        probabilities = softmax(np.asarray(reader.predict(letters, batch_size=2048, verbose=0)))
    else:
        probabilities = _read_prefixes(model, letters, lengths)
    probabilities[np.arange(letters.shape[1]) >= lengths[:, None]] = np.nan
    return probabilities


def _read_prefixes(model: keras.Model, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, T, K) float32 probabilities of any model: of every name, cut after every letter; 0 after the last."""
    rows, ends = np.nonzero(np.arange(letters.shape[1]) < lengths[:, None])
    log_probabilities = predict_log_probabilities(model, letters[rows], (ends + 1).astype(np.int32))
    probabilities = np.zeros((*letters.shape, log_probabilities.shape[1]), np.float32)
    probabilities[rows, ends] = np.exp(log_probabilities)
    return probabilities
