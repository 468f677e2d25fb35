"""The names model in NumPy: the answer is there long before an engine would have been imported."""

from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from keras_dnnts.config import NamesConfig
from keras_dnnts.datasets.folders import MAX_LINE_LETTERS
from keras_dnnts.datasets.letters import checked_alphabet, encode, ignored_letters, normalise
from keras_dnnts.predict import Prediction, log_softmax, most_probable
from keras_dnnts.running.saved_models import SavedModel, read_arrays

# Rows of a matrix product: enough to be fast, few enough that the gates of all of them stay in the cache.
BATCH_SIZE = 512
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
_RECURRENT, _HEAD = "layers/recurrent/vars", "layers/dense/vars"

State = tuple[np.ndarray, ...]


class NumpyNamesModel:
    """A trained names model, computed as :mod:`keras_dnnts.backend.cells` defines it.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        recurrent: the weights of :class:`keras_dnnts.studies.names.models.recurrent.Recurrent`, in its order and shapes.
        head: kernel (units, K) and bias (K,) of the dense layer behind it.
    """

    def __init__(self, cell: str, recurrent: list[np.ndarray], head: list[np.ndarray]) -> None:
        input_kernel, recurrent_kernel, input_bias, self._state_bias = recurrent
        self._step = _STEPS[cell]
        self._states = 2 if cell == "lstm" else 1
        self._units = recurrent_kernel.shape[1]
        # The product with a one-hot row is a row of the transposed kernel.
        self._from_letter = np.ascontiguousarray(input_kernel.T) + input_bias
        self._recurrent = np.ascontiguousarray(recurrent_kernel.T)
        self._head_kernel, self._head_bias = head

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, K) float32 log-probabilities.

        Args:
            letters: (N, T) int letter indices, whatever they are after a name's length.
            lengths: (N,) int, each from 1 to T.
        """
        logits = np.empty((len(letters), len(self._head_bias)), np.float32)
        # The products are small: on a busy machine, threads that wait for each other made them five times slower.
        with threadpool_limits(1, user_api="blas"):
            for length in np.unique(lengths):
                rows = np.flatnonzero(lengths == length)
                for batch in np.array_split(rows, -(-len(rows) // BATCH_SIZE)):
                    logits[batch] = self._last_outputs(letters[batch, :length]) @ self._head_kernel + self._head_bias
        return log_softmax(logits)

    def _last_outputs(self, letters: np.ndarray) -> np.ndarray:
        state = tuple(np.zeros((len(letters), self._units), np.float32) for _ in range(self._states))
        for column in letters.T:
            state = self._step(self._from_letter[column], state[0] @ self._recurrent + self._state_bias, state)
        return state[0]


def load_numpy_model(saved: SavedModel) -> NumpyNamesModel:
    """Read a names model from its ``.keras`` file.

    Raises:
        UserError: the file is damaged, or is not the model that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    recurrent, head = read_names_weights(saved)
    return NumpyNamesModel(config.cell, recurrent, head)


def predict_names(
    model: NumpyNamesModel, names: Sequence[str], alphabet: str, classes: Sequence[str], top: int
) -> list[Prediction]:
    """Return what the model says of each name; of one without a usable letter, or far too long, that it is.

    Args:
        model: the model.
        names: as they were given.
        alphabet: the model's usable letters.
        classes: K names in the order of the model's outputs.
        top: number of guesses.
    """
    read_as = [normalise(name, alphabet) for name in names]
    usable = [i for i, text in enumerate(read_as) if text.strip() and len(text) <= MAX_LINE_LETTERS]
    guesses: dict[int, tuple[tuple[str, float], ...]] = {}
    if usable:
        letters, lengths = encode([read_as[i] for i in usable], alphabet)
        of_usable = most_probable(model.log_probabilities(letters, lengths), classes, top)
        guesses = dict(zip(usable, of_usable, strict=True))
    return [
        Prediction(
            name,
            guesses.get(i, ()),
            read_as=text,
            ignored=() if text == name else tuple(ignored_letters(name, alphabet)),
            problem=None if i in guesses else _problem(text),
        )
        for i, (name, text) in enumerate(zip(names, read_as, strict=True))
    ]


def _problem(read_as: str) -> str:
    return f"longer than {MAX_LINE_LETTERS} letters" if read_as.strip() else "no usable letter"


def read_names_weights(saved: SavedModel) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read the weights of the recurrent layer and of the dense one, each in its layer's order.

    Raises:
        UserError: the file is damaged, or is not the model that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    units, rows, classes = config.hidden_units, GATES[config.cell] * config.hidden_units, len(saved.classes)
    width = len(checked_alphabet(config.letters)) + 1
    recurrent = _numbered(_RECURRENT, (rows, width), (rows, units), (rows,), (rows,))
    head = _numbered(_HEAD, (units, classes), (classes,))
    arrays = read_arrays(saved.path, recurrent | head)
    return [arrays[name] for name in recurrent], [arrays[name] for name in head]


def _numbered(folder: str, *shapes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{folder}/{number}": shape for number, shape in enumerate(shapes)}


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By tanh: exp overflows where the gate is shut.
    x *= np.float32(0.5)
    np.tanh(x, out=x)
    x += np.float32(1)
    x *= np.float32(0.5)
    return x


def _rnn_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    from_letter += from_state
    return (np.tanh(from_letter, out=from_letter),)


def _gru_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    units = state[0].shape[1]
    gates = _sigmoid(from_letter[:, : 2 * units] + from_state[:, : 2 * units])
    reset, update = gates[:, :units], gates[:, units:]
    new = np.tanh(from_letter[:, 2 * units :] + reset * from_state[:, 2 * units :])
    return (new + update * (state[0] - new),)


def _lstm_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    from_letter += from_state
    input_gate, forget_gate, candidate, output_gate = np.split(from_letter, 4, axis=1)
    memory = _sigmoid(forget_gate) * state[1] + _sigmoid(input_gate) * np.tanh(candidate)
    return (_sigmoid(output_gate) * np.tanh(memory), memory)


_STEPS: dict[str, Callable[[np.ndarray, np.ndarray, State], State]] = {
    "rnn": _rnn_step,
    "gru": _gru_step,
    "lstm": _lstm_step,
}
