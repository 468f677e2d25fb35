"""A names model in NumPy: needs no engine, and one thread, so that it is fast on a busy machine too."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from keras_dnnts.predict import log_softmax

# Rows of a matrix product: enough to be fast, few enough that the gates of all of them stay in the cache.
BATCH_SIZE = 512

State = tuple[np.ndarray, ...]


class NumpyNamesModel:
    """A trained names model, computed as :mod:`keras_dnnts.backend.cells` defines it.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        recurrent: the weights of :class:`.models.recurrent.Recurrent`, in its order and shapes.
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
        with _one_thread():
            for length in np.unique(lengths):
                for batch in _batches(np.flatnonzero(lengths == length)):
                    *_, last = self._states_after(letters[batch, :length])
                    logits[batch] = self._head(last)
        return log_softmax(logits)

    def read_letter_by_letter(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, T, K) float32 probabilities after every letter, NaN from a name's end on; arguments as above."""
        beyond = np.arange(letters.shape[1]) >= lengths[:, None]
        known = np.where(beyond, 0, letters)
        logits = np.empty((*letters.shape, len(self._head_bias)), np.float32)
        with _one_thread():
            for batch in _batches(np.arange(len(letters))):
                for t, after_letter in enumerate(self._states_after(known[batch])):
                    logits[batch, t] = self._head(after_letter)
        probabilities = np.exp(log_softmax(logits))
        probabilities[beyond] = np.nan
        return probabilities

    def _states_after(self, letters: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the states (n, units) after every letter of names (n, T) of one length."""
        state = tuple(np.zeros((len(letters), self._units), np.float32) for _ in range(self._states))
        for column in letters.T:
            state = self._step(self._from_letter[column], state[0] @ self._recurrent + self._state_bias, state)
            yield state[0]

    def _head(self, states: np.ndarray) -> np.ndarray:
        return states @ self._head_kernel + self._head_bias


def _one_thread() -> Any:
    # The products are small: on a busy machine, threads that wait for each other made them five times slower.
    return threadpool_limits(1, user_api="blas")


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, -(-len(rows) // BATCH_SIZE)) if len(rows) else []


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
